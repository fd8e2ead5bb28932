// Package forecast holds the models and their combination: numbers and times go in, numbers come out. It reads no
// clock, does no I/O, takes no lock and logs nothing; the same inputs always give the same outlooks.
package forecast
