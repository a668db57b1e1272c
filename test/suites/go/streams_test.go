package suites

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
)

// podURL is the URL of a stream of SUITE_POD, a running pod.
func podURL(t *testing.T, subresource string, options *corev1.PodExecOptions) *url.URL {
	t.Helper()
	// A nil of this type is no nil object.
	if options == nil {
		return streamURL(t, "default", suitePod(t), subresource, nil)
	}
	return streamURL(t, "default", suitePod(t), subresource, options)
}

func suitePod(t *testing.T) string {
	t.Helper()
	pod := os.Getenv("SUITE_POD")
	if pod == "" {
		t.Fatal("SUITE_POD is not set")
	}
	return pod
}

func streamURL(t *testing.T, ns, pod, subresource string, options runtime.Object) *url.URL {
	t.Helper()
	request := typed(t, "application/json").CoreV1().RESTClient().Post().
		Resource("pods").Namespace(ns).Name(pod).SubResource(subresource)
	if options != nil {
		request = request.VersionedParams(options, scheme.ParameterCodec)
	}
	return request.URL()
}

// first is the version of which clients never close the standard input, and may miss the error.
const first = "spdy channel.k8s.io"

// executors has one of each sort: what kubectl asks for, what clients from before WebSockets ask
// for (in each of its versions), and who can do both.
func executors(t *testing.T, target *url.URL) map[string]remotecommand.Executor {
	t.Helper()
	cfg := config(t)
	socket, err := remotecommand.NewWebSocketExecutor(cfg, "GET", target.String())
	if err != nil {
		t.Fatal(err)
	}
	old, err := remotecommand.NewSPDYExecutor(cfg, "POST", target)
	if err != nil {
		t.Fatal(err)
	}
	either, err := remotecommand.NewFallbackExecutor(socket, old, httpstream.IsUpgradeFailure)
	if err != nil {
		t.Fatal(err)
	}
	transport, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]remotecommand.Executor{"websocket": socket, "spdy": old, "either": either}
	versions := []string{"v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"}
	for _, version := range versions {
		one, err := remotecommand.NewSPDYExecutorForProtocols(transport, upgrader, "POST", target, version)
		if err != nil {
			t.Fatal(err)
		}
		all["spdy "+version] = one
	}
	return all
}

// Commands in a container: input, both outputs, the exit code.
func TestExec(t *testing.T) {
	target := podURL(t, "exec", &corev1.PodExecOptions{
		Command: []string{"sh", "-c", "cat; echo done >&2; exit 3"},
		Stdin:   true, Stdout: true, Stderr: true,
	})
	for name, executor := range executors(t, target) {
		if name == first {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			err := executor.StreamWithContext(within(t, 20*time.Second), remotecommand.StreamOptions{
				Stdin: strings.NewReader("hello"), Stdout: &out, Stderr: &errs,
			})
			// The oldest versions know words only.
			if err == nil || !regexp.MustCompile("exit (code|status) 3").MatchString(err.Error()) {
				t.Fatalf("status: %v", err)
			}
			if out.String() != "hello" || strings.TrimSpace(errs.String()) != "done" {
				t.Fatalf("%q and %q", out.String(), errs.String())
			}
		})
	}
}

// The first version there was: input that never ends, both outputs.
func TestExecFirstVersion(t *testing.T) {
	target := podURL(t, "exec", &corev1.PodExecOptions{
		Command: []string{"sh", "-c", "head -c 5; echo done >&2"}, Stdin: true, Stdout: true, Stderr: true,
	})
	var out, errs bytes.Buffer
	err := executors(t, target)[first].StreamWithContext(within(t, 20*time.Second), remotecommand.StreamOptions{
		Stdin: strings.NewReader("hello"), Stdout: &out, Stderr: &errs,
	})
	if err != nil || out.String() != "hello" || strings.TrimSpace(errs.String()) != "done" {
		t.Fatalf("%q and %q: %v", out.String(), errs.String(), err)
	}
}

// What goes in comes out, also where it is much more than any buffer holds.
func TestExecMuch(t *testing.T) {
	const size = 8 << 20
	target := podURL(t, "exec", &corev1.PodExecOptions{Command: []string{"cat"}, Stdin: true, Stdout: true})
	for _, name := range []string{"websocket", "spdy"} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			given := bytes.Repeat([]byte("0123456789abcde\n"), size/16)
			err := executors(t, target)[name].StreamWithContext(within(t, 40*time.Second),
				remotecommand.StreamOptions{Stdin: bytes.NewReader(given), Stdout: &out})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out.Bytes(), given) {
				t.Fatalf("%d bytes came back of %d", out.Len(), size)
			}
		})
	}
}

type oneSize struct {
	width uint16
	sent  bool
}

func (s *oneSize) Next() *remotecommand.TerminalSize {
	if s.sent {
		return nil
	}
	s.sent = true
	return &remotecommand.TerminalSize{Width: s.width, Height: 45}
}

// A terminal has the size that the client has.
func TestExecTerminal(t *testing.T) {
	// A change of size may come while one is asked for: then it is asked for again.
	script := `for i in $(seq 100); do stty size 2>/dev/null | grep "45 123" && exit; sleep 0.1; done`
	target := podURL(t, "exec", &corev1.PodExecOptions{
		Command: []string{"sh", "-c", script}, Stdin: true, Stdout: true, TTY: true,
	})
	for _, name := range []string{"websocket", "spdy"} {
		t.Run(name, func(t *testing.T) {
			input, hold := io.Pipe()
			defer hold.Close()
			var out bytes.Buffer
			err := executors(t, target)[name].StreamWithContext(within(t, 20*time.Second), remotecommand.StreamOptions{
				Stdin: input, Stdout: &out, Tty: true, TerminalSizeQueue: &oneSize{width: 123},
			})
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(out.String()) != "45 123" {
				t.Fatalf("%q", out.String())
			}
		})
	}
}

// A client that goes away takes its command along: none of it is left.
func TestExecGone(t *testing.T) {
	mark := fmt.Sprintf("3600.%d", time.Now().UnixNano())
	sleep := podURL(t, "exec", &corev1.PodExecOptions{Command: []string{"sleep", mark}, Stdout: true})
	list := podURL(t, "exec", &corev1.PodExecOptions{Command: []string{"ps"}, Stdout: true})
	processes := func(ctx context.Context) (string, error) {
		var out bytes.Buffer
		err := executors(t, list)["spdy"].StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out})
		return out.String(), err
	}
	ctx, cancel := context.WithCancel(within(t, 30*time.Second))
	over := make(chan error, 1)
	go func() {
		over <- executors(t, sleep)["spdy"].StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: io.Discard})
	}()
	eventually(t, "it runs", func(ctx context.Context) (bool, error) {
		out, err := processes(ctx)
		return strings.Contains(out, mark), err
	})
	cancel()
	<-over
	eventually(t, "it is gone", func(ctx context.Context) (bool, error) {
		out, err := processes(ctx)
		return !strings.Contains(out, mark), err
	})
}

// Ports of a pod over SPDY itself, several connections at once; one that nobody listens on tells so.
func TestPortForward(t *testing.T) {
	transport, upgrader, err := spdy.RoundTripperFor(config(t))
	if err != nil {
		t.Fatal(err)
	}
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", podURL(t, "portforward", nil))
	stop, ready := make(chan struct{}), make(chan struct{})
	var errs bytes.Buffer
	forwarder, err := portforward.New(dialer, []string{"0:8080"}, stop, ready, io.Discard, &errs)
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-over:
		t.Fatalf("it ended: %v", err)
	case <-time.After(patience * 20 * time.Second):
		t.Fatal("it was never ready")
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: patience * 20 * time.Second}
	answers := make(chan error, 8)
	for range cap(answers) {
		go func() {
			answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", ports[0].Local))
			if err == nil {
				defer answer.Body.Close()
				body, _ := io.ReadAll(answer.Body)
				if answer.StatusCode != 200 || len(body) == 0 {
					err = fmt.Errorf("%d: %q", answer.StatusCode, body)
				}
			}
			answers <- err
		}()
	}
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Error(err, errs.String())
		}
	}
	close(stop)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
}
