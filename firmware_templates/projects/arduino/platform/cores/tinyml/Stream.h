/* A Print that can also be read. */
#ifndef STREAM_H
#define STREAM_H

#include "Print.h"

class Stream : public Print {
public:
  virtual int available() = 0;
  virtual int read() = 0; /* -1 where nothing waits */
  virtual int peek() = 0;
};

#endif
