/** The guest's program with these timers, which are installed before anything else of it is loaded. @module */
import "./install.ts";
import "../../guest/agent_entry.ts";
