#pragma once
/* What `idf.py` makes of sdkconfig.defaults, as far as the port asks for it. */
#define CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ 160
#define CONFIG_ESP_MAIN_TASK_STACK_SIZE 8192
#if defined(USB_CONSOLE)
#define CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG 1
#else
#define CONFIG_ESP_CONSOLE_UART 1
#define CONFIG_ESP_CONSOLE_UART_NUM 0
#endif
