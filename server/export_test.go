package server

// CallerOf is tested apart: doors with TLS are made by others.
var CallerOf = callerOf
