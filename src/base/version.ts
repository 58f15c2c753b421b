/** The release, as every mode prints it. @module */

export const VERSION = "0.1.0";
