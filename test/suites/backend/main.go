// A backend of Go's net/http that prints one line of JSON for each request that it has read whole.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", os.Args[1]+":0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	handler := func(answer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err == nil {
			line, _ := json.Marshal(fmt.Sprintf("%s %s %s", request.Method, request.RequestURI, body))
			fmt.Println(string(line))
		}
	}
	panic(http.Serve(listener, http.HandlerFunc(handler)))
}
