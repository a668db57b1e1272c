package suites

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/remotecommand"
)

// console makes a pod that reads its standard input, and waits until it runs.
func console(t *testing.T, ns, name, script string, change func(*corev1.Container)) {
	t.Helper()
	client, ctx := typed(t, protobuf), within(t, 40*time.Second)
	web, err := client.CoreV1().Pods("default").Get(ctx, suitePod(t), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	container := corev1.Container{
		Name: "main", Image: web.Spec.Containers[0].Image, ImagePullPolicy: corev1.PullNever,
		Command: []string{"sh", "-c", script}, Stdin: true,
	}
	change(&container)
	grace := int64(0)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{container}, RestartPolicy: corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: &grace,
		},
	}
	if _, err := client.CoreV1().Pods(ns).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	inPhase(t, ns, name, corev1.PodRunning)
}

func inPhase(t *testing.T, ns, name string, phase corev1.PodPhase) {
	t.Helper()
	client := typed(t, protobuf)
	eventually(t, name+" is "+string(phase), func(ctx context.Context) (bool, error) {
		pod, err := client.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{})
		return err == nil && pod.Status.Phase == phase, err
	})
}

// heard keeps what comes, and says when words came.
type heard struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.bytes.Write(p)
}

func (h *heard) has(words string) bool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return strings.Contains(h.bytes.String(), words)
}

func (h *heard) String() string {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.bytes.String()
}

// keepsTyping writes a line again and again, until its input is closed: an answer may need more than one.
func keepsTyping(input io.Writer, line string) {
	for {
		if _, err := input.Write([]byte(line + "\n")); err != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// One container, one client after another, each in its own words: input, both outputs; the
// container goes on when a client leaves.
func TestAttach(t *testing.T) {
	ns := namespace(t)
	script := `while read line; do echo "out $line"; echo "err $line" >&2; done`
	console(t, ns, "talks", script, func(*corev1.Container) {})
	target := streamURL(t, ns, "talks", "attach", &corev1.PodAttachOptions{Stdin: true, Stdout: true, Stderr: true})
	for name, executor := range executors(t, target) {
		t.Run(name, func(t *testing.T) {
			ctx, leave := context.WithCancel(within(t, 20*time.Second))
			defer leave()
			input, hold := io.Pipe()
			defer hold.Close()
			var said heard
			over := make(chan error, 1)
			go func() {
				over <- executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: input, Stdout: &said, Stderr: &said})
			}()
			go keepsTyping(hold, "by "+name)
			eventually(t, "both outputs", func(context.Context) (bool, error) {
				return said.has("out by "+name+"\n") && said.has("err by "+name+"\n"), nil
			})
			leave()
			if err := <-over; err == nil {
				t.Fatal("it ended by itself")
			}
		})
	}
	inPhase(t, ns, "talks", corev1.PodRunning)
}

// Where the input is for one client only, its end is that of the container, and so of the client.
func TestAttachOnce(t *testing.T) {
	ns := namespace(t)
	for i, name := range []string{"websocket", "spdy", "spdy v3.channel.k8s.io"} {
		t.Run(name, func(t *testing.T) {
			pod := "once-" + string(rune('a'+i))
			console(t, ns, pod, "cat; echo over", func(container *corev1.Container) { container.StdinOnce = true })
			target := streamURL(t, ns, pod, "attach", &corev1.PodAttachOptions{Stdin: true, Stdout: true})
			var out heard
			err := executors(t, target)[name].StreamWithContext(within(t, 20*time.Second), remotecommand.StreamOptions{
				Stdin: strings.NewReader("hello\n"), Stdout: &out,
			})
			if err != nil || out.String() != "hello\nover\n" {
				t.Fatalf("%q: %v", out.String(), err)
			}
			inPhase(t, ns, pod, corev1.PodSucceeded)
		})
	}
}

// The terminal of a container has the size that the client has, from the version on that tells it.
func TestAttachTerminal(t *testing.T) {
	ns := namespace(t)
	script := `while read line; do echo "$line: $(stty size)"; done`
	console(t, ns, "screen", script, func(container *corev1.Container) { container.TTY = true })
	target := streamURL(t, ns, "screen", "attach", &corev1.PodAttachOptions{Stdin: true, Stdout: true, TTY: true})
	for i, name := range []string{"websocket", "spdy", "spdy v3.channel.k8s.io"} {
		t.Run(name, func(t *testing.T) {
			ctx, leave := context.WithCancel(within(t, 20*time.Second))
			defer leave()
			input, hold := io.Pipe()
			defer hold.Close()
			width := 120 + i
			var out heard
			over := make(chan error, 1)
			go func() {
				over <- executors(t, target)[name].StreamWithContext(ctx, remotecommand.StreamOptions{
					Stdin: input, Stdout: &out, Tty: true, TerminalSizeQueue: &oneSize{width: uint16(width)},
				})
			}()
			go keepsTyping(hold, "at "+name)
			eventually(t, "the size", func(context.Context) (bool, error) {
				return out.has(fmt.Sprintf("at %s: 45 %d", name, width)), nil
			})
			leave()
			<-over
		})
	}
}
