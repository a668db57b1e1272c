// soak holds many objects and many watches and goes on reading and writing at a steady rate. Every ten seconds it
// prints a JSON line of what went by since the last one.
//
//	go run . -server https://127.0.0.1:6443 -token T [-objects 20000] [-watchers 1000] [-rate 200] [-seconds 600]
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	server   = flag.String("server", "https://127.0.0.1:6443", "API server URL")
	token    = flag.String("token", "", "bearer token with full rights")
	objects  = flag.Int("objects", 20000, "objects that are there all the time")
	watchers = flag.Int("watchers", 1000, "watches that are open all the time")
	rate     = flag.Int("rate", 200, "requests a second")
	seconds  = flag.Int("seconds", 600, "how long")
)

const (
	base   = "/api/v1/namespaces/soak"
	shards = 100
	every  = 10 * time.Second
)

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64,
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

var errs, seen, open atomic.Int64

func fail(what string, code int, err error, body []byte) {
	if errs.Add(1) < 10 {
		fmt.Fprintf(os.Stderr, "%s: %d %v %.200s\n", what, code, err, body)
	}
}

// call answers how long it took.
func call(method, path, ctype, body string) time.Duration {
	began := time.Now()
	req, _ := http.NewRequest(method, *server+path, bytes.NewReader([]byte(body)))
	req.Header.Set("Authorization", "Bearer "+*token)
	if body != "" {
		req.Header.Set("Content-Type", ctype)
	}
	res, err := client.Do(req)
	if err != nil {
		fail(method+" "+path, 0, err, nil)
		return time.Since(began)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	took := time.Since(began)
	if err != nil || res.StatusCode >= 300 {
		fail(method+" "+path, res.StatusCode, err, text)
	}
	return took
}

// configMap is as large however it came to be: what is held stays the same in size.
func configMap(name string, i int, n int) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":{"shard":"s%d"},"annotations":{"n":"%06d"}},"data":{"a":%q}}`,
		name, i%shards, n, fmt.Sprintf("%s%06d", strings.Repeat("x", 500), n))
}

// pod belongs to a scheduler that is not there: one on a node that is not there would be cleaned up.
func pod(i int) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"pod-%06d","labels":{"shard":"s%d"}},"spec":{"schedulerName":"none","automountServiceAccountToken":false,"containers":[{"name":"c","image":"example/app:1"}]}}`, i, i%shards)
}

// each calls f for every object, sixteen at a time.
func each(f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := int(next.Add(1)) - 1; i < *objects; i = int(next.Add(1)) - 1 {
				f(i)
			}
		}()
	}
	wg.Wait()
}

// fill makes the objects, three ConfigMaps to a pod, and changes each once in no order, as those of a cluster that
// lives were: what has just been made lies closer together than it ever will again.
func fill() {
	path := func(i int) string {
		if i%4 == 3 {
			return fmt.Sprintf("%s/pods/pod-%06d", base, i)
		}
		return fmt.Sprintf("%s/configmaps/cm-%06d", base, i)
	}
	each(func(i int) {
		if i%4 == 3 {
			call("POST", base+"/pods", "application/json", pod(i))
		} else {
			call("POST", base+"/configmaps", "application/json", configMap(fmt.Sprintf("cm-%06d", i), i, 0))
		}
	})
	order := rand.New(rand.NewSource(1)).Perm(*objects)
	each(func(i int) {
		call("PATCH", path(order[i]), "application/merge-patch+json", `{"metadata":{"annotations":{"n":"000001"}}}`)
	})
}

// watch follows one shard until the program ends, and begins anew where a watch ends, as clients do.
func watch(i int, ready *sync.WaitGroup) {
	kind := "configmaps"
	if i%4 == 3 {
		kind = "pods"
	}
	path := fmt.Sprintf("%s%s/%s?watch=1&labelSelector=shard%%3Ds%d", *server, base, kind, i%shards)
	for first := true; ; first = false {
		req, _ := http.NewRequest("GET", path, nil)
		req.Header.Set("Authorization", "Bearer "+*token)
		res, err := client.Do(req)
		if first {
			ready.Done()
		}
		if err != nil || res.StatusCode != 200 {
			fail("watch", 0, err, nil)
			time.Sleep(time.Second)
			continue
		}
		open.Add(1)
		lines := bufio.NewReader(res.Body)
		for {
			if _, err = lines.ReadSlice('\n'); err != nil && err != bufio.ErrBufferFull {
				break
			}
			seen.Add(1)
		}
		open.Add(-1)
		res.Body.Close()
	}
}

var mu sync.Mutex
var gets []time.Duration

func anyConfigMap(r *rand.Rand) int {
	i := r.Intn(*objects)
	if i%4 == 3 {
		i--
	}
	return i
}

// step is one request of the mix, or a pair that leaves the number of objects as it was.
func step(n int) {
	r := rand.New(rand.NewSource(int64(n)))
	i := anyConfigMap(r)
	path := fmt.Sprintf("%s/configmaps/cm-%06d", base, i)
	switch k := n % 20; {
	case k < 11:
		took := call("GET", path, "", "")
		mu.Lock()
		gets = append(gets, took)
		mu.Unlock()
	case k < 14:
		call("PATCH", path, "application/merge-patch+json", fmt.Sprintf(`{"metadata":{"annotations":{"n":"%06d"}}}`, n))
	case k < 17:
		call("PUT", path, "application/json", configMap(fmt.Sprintf("cm-%06d", i), i, n))
	case k < 19:
		name := fmt.Sprintf("new-%d", n)
		call("POST", base+"/configmaps", "application/json", configMap(name, n, n))
		call("DELETE", base+"/configmaps/"+name, "", "")
	default:
		call("GET", base+"/pods?limit=500", "", "")
	}
}

type line struct {
	Seconds  int     `json:"seconds"`
	Gets     int     `json:"gets"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Events   int64   `json:"events"`
	Watchers int64   `json:"watchers"`
	Errors   int64   `json:"errors"`
}

func report(since time.Time) {
	mu.Lock()
	took := gets
	gets = nil
	mu.Unlock()
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	at := func(q float64) float64 {
		if len(took) == 0 {
			return 0
		}
		return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000
	}
	_ = json.NewEncoder(os.Stdout).Encode(line{int(time.Since(since).Seconds() + 0.5), len(took), at(.5), at(.99),
		seen.Load(), open.Load(), errs.Load()})
}

func main() {
	flag.Parse()
	call("POST", "/api/v1/namespaces", "application/json",
		`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"soak"}}`)
	for range 100 {
		before := errs.Load()
		call("GET", base+"/serviceaccounts/default", "", "")
		if errs.Swap(0) == before {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	fill()
	var ready sync.WaitGroup
	for i := range *watchers {
		ready.Add(1)
		go watch(i, &ready)
	}
	ready.Wait()
	began := time.Now()
	steps := make(chan int, *rate)
	for range 32 {
		go func() {
			for n := range steps {
				step(n)
			}
		}()
	}
	tick := time.NewTicker(time.Second / time.Duration(*rate))
	look := time.NewTicker(every)
	for n := 0; time.Since(began) < time.Duration(*seconds)*time.Second; {
		select {
		case <-tick.C:
			steps <- n
			n++
		case <-look.C:
			report(began)
		}
	}
}
