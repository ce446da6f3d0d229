/// libpqxx 6.4 loses the result of a query during which the connection broke: it asks for the client encoding before it
/// takes the result over, and throws there. Read by LeakSanitizer alone.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libpqxx-6.4\n"; }
