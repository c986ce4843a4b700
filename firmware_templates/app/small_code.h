/* Between these two, functions are compiled for size, whatever the model is compiled for: speed is
 * wanted of an inference, not of the protocol around it.
 */
#ifndef SMALL_CODE_H
#define SMALL_CODE_H

#if defined(__clang__)
#define SMALL_CODE_BEGIN                                                                           \
  _Pragma("clang attribute push(__attribute__((minsize)), apply_to = function)")
#define SMALL_CODE_END _Pragma("clang attribute pop")
#elif defined(__GNUC__)
#define SMALL_CODE_BEGIN _Pragma("GCC push_options") _Pragma("GCC optimize(\"Os\")")
#define SMALL_CODE_END _Pragma("GCC pop_options")
#else
#define SMALL_CODE_BEGIN
#define SMALL_CODE_END
#endif

#endif
