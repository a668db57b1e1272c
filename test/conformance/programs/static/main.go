// static serves a folder on port 80: the stand-in for httpd, nginx and the update demonstration.
package main

import (
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// serve answers with the file of the path, and 404 where it is gone: no lists of folders, no redirects.
func serve(root string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		path := filepath.Join(root, filepath.Clean("/"+r.URL.Path))
		if strings.HasSuffix(r.URL.Path, "/") {
			path = filepath.Join(path, "index.html")
		}
		file, err := os.Open(path)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil || info.IsDir() {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, info.Name(), info.ModTime(), file)
	}
}

func main() {
	log.Printf("serving %s", os.Args[1])
	log.Fatal(http.ListenAndServe(":80", serve(os.Args[1])))
}
