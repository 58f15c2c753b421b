/** Import for effect, as the first of a program. @module */
import { installTimers } from "./timers.ts";

installTimers();
