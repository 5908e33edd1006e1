// Any board with an RP2040 and 2 MB of flash; TITLE comes from the board's file.
#define MICROPY_HW_BOARD_NAME "Adder on TITLE"
#define MICROPY_HW_USB_MANUFACTURER_STRING "Adder"
#define MICROPY_HW_USB_PRODUCT_FS_STRING "Adder 3D printer (TITLE)"
#define MICROPY_HW_USB_CDC_INTERFACE_STRING "G-code"
#define MICROPY_HW_USB_DESC_STR_MAX (64)
// Opening the port at 1200 baud starts the boot loader (make flash PORT=...).
#define MICROPY_HW_USB_CDC_1200BPS_TOUCH (1)

// The upper 1408 KB of the 2 MB are the file system (settings, macros); the image must stay below 640 KB.
#define MICROPY_HW_FLASH_STORAGE_BYTES (1408 * 1024)
