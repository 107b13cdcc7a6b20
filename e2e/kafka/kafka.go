// Package kafka provides a real Apache Kafka broker on the loopback interface, from the jars of Maven Central, for tests
// that need one and for faults: it can be killed and restarted on its data.
package kafka

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"text/template"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trendbuy/riskscorer/e2e/maven"
	"github.com/trendbuy/riskscorer/e2e/process"
)

// Version is the version of Apache Kafka that pom.xml names.
const Version = "4.4.0"

const (
	heap = "512m"
	// startLimit bounds the wait for the first metadata: 3 s on an idle machine, 14 s seen on a busy one after a kill.
	startLimit = 3 * time.Minute
	stopLimit  = 30 * time.Second
)

//go:embed pom.xml
var pom []byte

//go:embed log4j2.xml
var log4j2 []byte

//go:embed server.properties.tmpl
var properties string

// Node is a broker that is a KRaft controller too, alone or as one of a Cluster. Its methods are called from one goroutine.
type Node struct {
	java, libs string
	dir, log   string
	cluster    string // its id
	settings   settings
	security   *Security // nil is the plain listener alone
	secured    []int     // its ports
	identities int       // that the broker has had
	process    *process.Process
}

// settings fill server.properties.tmpl.
type settings struct {
	ID, Replicas, InSync       int
	Voters                     string // id@host:port of every controller, comma-separated
	BrokerPort, ControllerPort int
	OutsidePort                int    // of a second listener; 0 is none
	Advertised                 string // host:port under which clients of the second listener are sent on
}

// Start resolves the jars (some 45 MB, once a machine), formats a node in dir and starts it. dir is kept by the caller;
// log is the file that gets the broker's output. Start returns when the broker answers metadata requests.
func Start(ctx context.Context, dir, log string) (*Node, error) {
	return start(ctx, &Node{dir: dir, log: log})
}

func start(ctx context.Context, n *Node) (*Node, error) {
	java, libs, err := program(ctx)
	if err != nil {
		return nil, err
	}
	ports, err := process.FreePorts(ctx, 2)
	if err != nil {
		return nil, err
	}
	n.java, n.libs, n.cluster = java, libs, newClusterID()
	n.settings = settings{
		ID: 1, Replicas: 1, InSync: 1, Voters: voter(1, ports[1]), BrokerPort: ports[0], ControllerPort: ports[1],
	}
	if err := n.prepare(ctx); err != nil {
		return nil, err
	}
	if err := n.Restart(ctx); err != nil {
		return nil, err
	}
	return n, nil
}

// program returns the path of java and the directory of Kafka's jars.
func program(ctx context.Context) (java, libs string, err error) {
	if java, err = process.Find("java", "the Kafka broker"); err != nil {
		return "", "", err
	}
	if libs, err = maven.Cached(ctx, "kafka-"+Version, resolve); err != nil {
		return "", "", fmt.Errorf("resolve Kafka %s: %w", Version, err)
	}
	return java, libs, nil
}

// newClusterID returns an id that no other run's broker has: one that took this run's port in the meantime answers, too.
func newClusterID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	id[0] &= 0x7f        // a dash in front would make an option of it
	return base64.RawURLEncoding.EncodeToString(id)
}

func voter(id, port int) string { return fmt.Sprintf("%d@127.0.0.1:%d", id, port) }

func resolve(ctx context.Context, dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), pom, 0o600); err != nil {
		return err
	}
	return maven.Run(ctx, dir, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir)
}

// prepare configures the node and formats its storage.
func (n *Node) prepare(ctx context.Context) error {
	if err := n.configure(ctx); err != nil {
		return fmt.Errorf("configure Kafka: %w", err)
	}
	return n.format(ctx)
}

// configure writes the two files of a node. Its ports stay the same for its life, so that clients find it again.
func (n *Node) configure(ctx context.Context) error {
	if err := os.WriteFile(filepath.Join(n.dir, "log4j2.xml"), log4j2, 0o600); err != nil {
		return err
	}
	text, err := template.New("server.properties").Parse(properties)
	if err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(n.dir, "server.properties"))
	if err != nil {
		return err
	}
	err = text.Execute(file, n.settings)
	if err == nil && n.security != nil {
		err = n.secure(ctx, file, []int{n.settings.BrokerPort, n.settings.ControllerPort})
	}
	return errors.Join(err, file.Close())
}

// arguments are java's, for one of Kafka's main classes. Java itself expands the asterisk.
func (n *Node) arguments(args ...string) []string {
	return append([]string{
		"-Xms" + heap, "-Xmx" + heap,
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", // a short life beside other processes: less compiling, fewer threads
		"-Dlog4j2.configurationFile=log4j2.xml",
		"-cp", filepath.Join(n.libs, "*"),
	}, args...)
}

func (n *Node) format(ctx context.Context) error {
	args := n.arguments("kafka.tools.StorageTool", "format", "-t", n.cluster, "-c", "server.properties")
	cmd := exec.CommandContext(ctx, n.java, args...) //nolint:gosec // java, found in PATH, on our own arguments
	cmd.Dir = n.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format Kafka's storage: %w: %s", err, out)
	}
	return nil
}

// Address is the broker's host:port, the same after every restart.
func (n *Node) Address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.settings.BrokerPort))
}

// Restart starts a broker that was killed or stopped, on its old data and address, and waits until it answers.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.start(); err != nil {
		return err
	}
	if err := n.await(ctx); err != nil {
		n.Kill()
		return fmt.Errorf("start Kafka: %w", err)
	}
	return nil
}

func (n *Node) start() error {
	p, err := process.Start(process.Spec{
		Path: n.java, Args: n.arguments("kafka.Kafka", "server.properties"), Dir: n.dir, Log: n.log,
	})
	if err != nil {
		return fmt.Errorf("start Kafka: %w", err)
	}
	n.process = p
	return nil
}

// await polls the metadata until the broker has registered itself.
func (n *Node) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(n.Address()), kgo.RetryTimeout(time.Second))
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		// Asked of this broker and past the client's cache, which would keep the first answer of one that is still fenced.
		request := kmsg.NewPtrMetadataRequest()
		request.Topics = []kmsg.MetadataRequestTopic{} // none, where nil is all
		meta, err := request.RequestWith(ctx, client.SeedBrokers()[0])
		if err == nil && meta.ClusterID != nil && *meta.ClusterID == n.cluster && slices.ContainsFunc(meta.Brokers, func(b kmsg.MetadataResponseBroker) bool { return b.NodeID == n.ID() }) {
			return nil
		}
		select {
		case <-n.process.Done():
			return fmt.Errorf("the broker ended (%s): %s", n.process.State(), n.process.Tail(20))
		case <-ctx.Done():
			return fmt.Errorf("no metadata within %s: %s", startLimit, n.process.Tail(20))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Kill ends the broker with SIGKILL: what it had not flushed is in the page cache, as after a crash of the process.
func (n *Node) Kill() { n.process.Kill() }

// Pause stops the broker with SIGSTOP: its connections stay open, and nothing answers until Resume.
func (n *Node) Pause() { n.process.Pause() }

// Resume lets a paused broker go on.
func (n *Node) Resume() { n.process.Resume() }

// FillDisk makes the broker's writes fail from now on, as a full disk does, until it is started again.
func (n *Node) FillDisk() error { return n.process.LimitFiles(1) }

// Done is closed when the broker has ended.
func (n *Node) Done() <-chan struct{} { return n.process.Done() }

// ID is the broker's node id.
func (n *Node) ID() int32 { return int32(n.settings.ID) } //nolint:gosec // 1 to 3

// Stop ends the broker in order. The error says if it had to be killed; its exit code on SIGTERM, 143, is no error.
func (n *Node) Stop() error {
	err := n.process.Stop(stopLimit)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 143 {
		return nil
	}
	return err
}
