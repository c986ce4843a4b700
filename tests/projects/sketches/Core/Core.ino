// All that the core for emulated boards has, and a crash.
struct Constructed {
  int value;
  Constructed() {
    value = static_cast<int>(sizeof(int32_t)) + 3;
  }
};

static Constructed constructed;

void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  Serial.print("constructed ");
  Serial.println(constructed.value);
  Serial.print(-2147483647l - 1);
  Serial.print(' ');
  Serial.print(4294967295ul);
  Serial.print(' ');
  Serial.print(255, HEX);
  Serial.print(' ');
  Serial.print(5u, BIN);
  Serial.print(' ');
  Serial.print(-3.14159);
  Serial.print(' ');
  Serial.print(0.4999, 3);
  Serial.println(" x");
  wait();
}

void wait() {
  const unsigned long milliseconds = millis();
  delay(3);
  const unsigned long waited = millis() - milliseconds;
  Serial.println(waited == 3 || waited == 4 ? "milliseconds" : "?");
  const unsigned long start = micros();
  delayMicroseconds(250);
  const unsigned long elapsed = micros() - start;
  Serial.println(elapsed >= 250 && elapsed < 500 ? "microseconds" : "?");
}

void loop() {
  if (Serial.available() == 0) {
    return;
  }
  Serial.print(Serial.peek());
  Serial.print(' ');
  Serial.print(Serial.read());
  Serial.print(' ');
  Serial.println(Serial.read());
  __builtin_trap();
}
