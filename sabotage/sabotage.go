// Package sabotage provides what proves the proofs: places on an event's way where a test ends the process, and bugs
// that it plants for the verifier to catch. Only a program built with the tag "sabotage" has any of it. In every other
// build At and On are empty, and the compiler removes the calls with what they guard.
package sabotage

// Point is a place on the way of a batch.
type Point string

// The points, in the order of the way.
const (
	Fetched      Point = "fetched" // read, and nothing done with it
	Decoded      Point = "decoded"
	Scored       Point = "scored"
	Sent         Point = "sent"         // one output partition has its share; this process has not noted it, others are under way
	Acknowledged Point = "acknowledged" // every output stands; the position has not moved
	Committing   Point = "committing"   // the position has moved; the commit is about to be sent
	Committed    Point = "committed"    // the group has the commit; this process has not noted it
)

// Points returns all points.
func Points() []Point {
	return []Point{Fetched, Decoded, Scored, Sent, Acknowledged, Committing, Committed}
}

// Bug is a planted bug.
type Bug string

// The bugs, each a mistake that a stream processor of this kind has been seen to make.
const (
	CommitBeforeAck   Bug = "commit before ack"              // the position moves when a batch is begun
	SkippedDeadLetter Bug = "skipped dead letter"            // a bad record becomes nothing
	StaleCommit       Bug = "stale commit"                   // a generation commits again what the one before it had reached
	NoAcks            Bug = "acks=0"                         // a batch that was handed to the connection counts as acknowledged
	ReusedSequence    Bug = "reused sequence"                // two batches carry one sequence number
	DroppedTail       Bug = "dropped tail on drain"          // what a fetch still holds at a drain is counted as done
	DifferingBytes    Bug = "duplicate with different bytes" // a result depends on the process that makes it
	OffsetJump        Bug = "offset jump"                    // the fetch after a fetch begins one record too late
	NeighboursScore   Bug = "neighbour's score"              // two orders of a batch change their decisions
	GivenUp           Bug = "given-up partition"             // a partition whose handler failed is left alone
)

// Bugs returns all bugs.
func Bugs() []Bug {
	return []Bug{
		CommitBeforeAck, SkippedDeadLetter, StaleCommit, NoAcks, ReusedSequence,
		DroppedTail, DifferingBytes, OffsetJump, NeighboursScore, GivenUp,
	}
}

// The environment of a sabotaged process.
const (
	// BugVariable names the bug that On reports.
	BugVariable = "SABOTAGE_BUG"
	// FileVariable names a file. The process ends itself by SIGKILL when it comes to the Point that the file holds.
	FileVariable = "SABOTAGE_FILE"
)
