// Package registry provides a real schema registry with Confluent's REST interface (Apicurio) on the loopback
// interface. It keeps its schemas in memory.
package registry

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/trendbuy/riskscorer/e2e/maven"
	"github.com/trendbuy/riskscorer/e2e/process"
)

// Version is Apicurio's version: the last line that runs on Java 17.
const Version = "3.0.9"

const (
	artifact = "apicurio-registry-app"
	// startLimit bounds the wait for the first answer: 17 s seen on a busy machine, over 120 s on one with load 40.
	startLimit = 5 * time.Minute
	// maxFile bounds one unpacked file; the largest jar has 20 MB.
	maxFile = 256 << 20
)

// Server is a running schema registry.
type Server struct {
	port    int
	process *process.Process
}

// Start resolves the server (some 110 MB, once a machine) and starts it. log is the file that gets its output. Start
// returns when the server answers.
func Start(ctx context.Context, log string) (*Server, error) {
	java, err := process.Find("java", "the schema registry")
	if err != nil {
		return nil, err
	}
	dir, err := maven.Cached(ctx, "apicurio-"+Version, resolve)
	if err != nil {
		return nil, fmt.Errorf("resolve Apicurio %s: %w", Version, err)
	}
	ports, err := process.FreePorts(ctx, 1)
	if err != nil {
		return nil, err
	}
	p, err := process.Start(process.Spec{
		Path: java, Dir: dir, Log: log,
		Args: []string{
			"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
			"-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port=" + strconv.Itoa(ports[0]),
			"-jar", artifact + "-" + Version + "-runner.jar",
		},
	})
	if err != nil {
		return nil, fmt.Errorf("start the schema registry: %w", err)
	}
	s := &Server{port: ports[0], process: p}
	if err := s.await(ctx); err != nil {
		p.Kill()
		return nil, fmt.Errorf("start the schema registry: %w", err)
	}
	return s, nil
}

// URL is the base of Confluent's REST interface.
func (s *Server) URL() string { return fmt.Sprintf("http://127.0.0.1:%d/apis/ccompat/v7", s.port) }

// Kill ends the server; its schemas are gone.
func (s *Server) Kill() { s.process.Kill() }

func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for {
		if answers(ctx, client, s.URL()+"/subjects") {
			return nil
		}
		select {
		case <-s.process.Done():
			return fmt.Errorf("the server ended (%s): %s", s.process.State(), s.process.Tail(20))
		case <-ctx.Done():
			return fmt.Errorf("no answer within %s: %s", startLimit, s.process.Tail(20))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func answers(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

func resolve(ctx context.Context, dir string) error {
	coordinates := fmt.Sprintf("-Dartifact=io.apicurio:%s:%s:tar.gz:all", artifact, Version)
	if err := maven.Run(ctx, dir, "dependency:copy", coordinates, "-DoutputDirectory="+dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	archive := fmt.Sprintf("%s-%s-all.tar.gz", artifact, Version)
	if err := unpack(root, archive); err != nil {
		return fmt.Errorf("unpack %s: %w", archive, err)
	}
	return root.Remove(archive)
}

// unpack writes the archive's regular files under root, which refuses a name that leads outside.
func unpack(root *os.Root, archive string) error {
	file, err := root.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	for entries := tar.NewReader(plain); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := write(root, header, entries); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func write(root *os.Root, header *tar.Header, content io.Reader) error {
	if header.Size > maxFile {
		return fmt.Errorf("%d bytes, at most %d are allowed", header.Size, maxFile)
	}
	name := filepath.Clean(header.Name)
	if err := root.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	out, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, content, header.Size)
	return errors.Join(err, out.Close())
}
