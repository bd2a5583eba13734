//! message-io: framed TCP. Its thread calls back; what comes is handed to the application's thread.
