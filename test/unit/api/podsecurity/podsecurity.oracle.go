//go:build ignore

// Answers what Kubernetes' own checks find, one question in JSON a line: see podsecurity.record.ts.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

type question struct {
	Level   string
	Version string
	Pod     corev1.Pod
}

func main() {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		panic(err)
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var asked question
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			panic(err)
		}
		version, err := api.ParseVersion(asked.Version)
		if err != nil {
			panic(err)
		}
		level := api.LevelVersion{Level: api.Level(asked.Level), Version: version}
		found := policy.AggregateCheckResults(
			evaluator.EvaluatePod(level, &asked.Pod.ObjectMeta, &asked.Pod.Spec))
		text, _ := json.Marshal(found.ForbiddenDetail())
		fmt.Println(string(text))
	}
}
