// Package kafka provides a real Apache Kafka broker on the loopback interface, from the jars of Maven Central, for tests
// that need one and for faults: it can be killed and restarted on its data.
package kafka

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"text/template"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trendbuy/riskscorer/e2e/maven"
	"github.com/trendbuy/riskscorer/e2e/process"
)

// Version is the version of Apache Kafka that pom.xml names.
const Version = "4.4.0"

const (
	// clusterID is any 22 characters of base64url.
	clusterID = "cmlza3Njb3Jlci1lMmUtMQ"
	heap      = "512m"
	// startLimit bounds the wait for the first metadata: 3 s on an idle machine, 14 s seen on a busy one after a kill.
	startLimit = 90 * time.Second
	stopLimit  = 30 * time.Second
)

//go:embed pom.xml
var pom []byte

//go:embed log4j2.xml
var log4j2 []byte

//go:embed server.properties.tmpl
var properties string

// Node is one broker that is its own KRaft controller. Its methods are called from one goroutine.
type Node struct {
	java, libs string
	dir, log   string
	port       int
	security   *Security // nil is the plain listener alone
	secured    []int     // its ports
	identities int       // that the broker has had
	process    *process.Process
}

// Start resolves the jars (some 45 MB, once a machine), formats a node in dir and starts it. dir is kept by the caller;
// log is the file that gets the broker's output. Start returns when the broker answers metadata requests.
func Start(ctx context.Context, dir, log string) (*Node, error) {
	return start(ctx, &Node{dir: dir, log: log})
}

func start(ctx context.Context, n *Node) (*Node, error) {
	java, err := process.Find("java", "the Kafka broker")
	if err != nil {
		return nil, err
	}
	libs, err := maven.Cached(ctx, "kafka-"+Version, resolve)
	if err != nil {
		return nil, fmt.Errorf("resolve Kafka %s: %w", Version, err)
	}
	n.java, n.libs = java, libs
	if err := n.configure(ctx); err != nil {
		return nil, fmt.Errorf("configure Kafka: %w", err)
	}
	if err := n.format(ctx); err != nil {
		return nil, err
	}
	if err := n.Restart(ctx); err != nil {
		return nil, err
	}
	return n, nil
}

func resolve(ctx context.Context, dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), pom, 0o600); err != nil {
		return err
	}
	return maven.Run(ctx, dir, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir)
}

// configure writes the two files of a node. Its ports stay the same for its life, so that clients find it again.
func (n *Node) configure(ctx context.Context) error {
	ports, err := process.FreePorts(ctx, 2)
	if err != nil {
		return err
	}
	n.port = ports[0]
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
	err = text.Execute(file, struct{ BrokerPort, ControllerPort int }{ports[0], ports[1]})
	if err == nil && n.security != nil {
		err = n.secure(ctx, file, ports)
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
	args := n.arguments("kafka.tools.StorageTool", "format", "-t", clusterID, "-c", "server.properties")
	cmd := exec.CommandContext(ctx, n.java, args...) //nolint:gosec // java, found in PATH, on our own arguments
	cmd.Dir = n.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format Kafka's storage: %w: %s", err, out)
	}
	return nil
}

// Address is the broker's host:port, the same after every restart.
func (n *Node) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// Restart starts a broker that was killed or stopped, on its old data and address, and waits until it answers.
func (n *Node) Restart(ctx context.Context) error {
	p, err := process.Start(process.Spec{
		Path: n.java, Args: n.arguments("kafka.Kafka", "server.properties"), Dir: n.dir, Log: n.log,
	})
	if err != nil {
		return fmt.Errorf("start Kafka: %w", err)
	}
	n.process = p
	if err := n.await(ctx); err != nil {
		p.Kill()
		return fmt.Errorf("start Kafka: %w", err)
	}
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
	admin := kadm.NewClient(client)
	for {
		meta, err := admin.BrokerMetadata(ctx)
		if err == nil && len(meta.Brokers) == 1 {
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

// Stop ends the broker in order. The error says if it had to be killed; its exit code on SIGTERM, 143, is no error.
func (n *Node) Stop() error {
	err := n.process.Stop(stopLimit)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 143 {
		return nil
	}
	return err
}
