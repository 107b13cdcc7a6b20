// Package simulation proves the stream's promises over hours of faults that pass in seconds. Consumer, handler and producer run
// whole, on a network in memory to an in-memory broker, and inside testing/synctest, whose clock jumps to the next thing that
// happens. A seed gives the events and the faults of each hour; the judge is that of the real broker, e2e/verify.
//
// go test runs a few seeds; `make sim HOURS=500` runs more, `make sim SEED=7 HOURS=5` repeats one. A seed repeats what is
// done to the stream, and when. How goroutines interleave within one instant is not part of it, nor is the jitter of waits:
// what a seed found once may take some repetitions to be seen again.
package simulation
