// A client of grpc-go, without generated code: client ADDRESS AUTHORITIES METHOD REQUEST COUNT [CERTIFICATE KEY]. Makes
// COUNT calls over one connection, eight at once, and prints the last answer; messages are in hexadecimal.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io/ioutil"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

type octets struct{}

func (octets) Marshal(v interface{}) ([]byte, error)      { return *v.(*[]byte), nil }
func (octets) Unmarshal(data []byte, v interface{}) error { *v.(*[]byte) = append([]byte{}, data...); return nil }
func (octets) Name() string                               { return "proto" }
func (octets) String() string                             { return "proto" }

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	authorities := x509.NewCertPool()
	pem, err := ioutil.ReadFile(os.Args[2])
	must(err)
	authorities.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: authorities}
	if len(os.Args) > 7 {
		certificate, err := tls.LoadX509KeyPair(os.Args[6], os.Args[7])
		must(err)
		config.Certificates = []tls.Certificate{certificate}
	}
	connection, err := grpc.Dial(os.Args[1], grpc.WithTransportCredentials(credentials.NewTLS(config)))
	must(err)
	defer connection.Close()
	request, err := hex.DecodeString(os.Args[4])
	must(err)
	count, err := strconv.Atoi(os.Args[5])
	must(err)
	work := make(chan int, count)
	for i := 0; i < count; i++ {
		work <- i
	}
	close(work)
	var answer []byte
	var group sync.WaitGroup
	var lock sync.Mutex
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for range work {
				call, done := context.WithTimeout(context.Background(), 30*time.Second)
				var got []byte
				err := connection.Invoke(call, os.Args[3], &request, &got, grpc.ForceCodec(octets{}))
				done()
				lock.Lock()
				must(err)
				answer = got
				lock.Unlock()
			}
		}()
	}
	group.Wait()
	fmt.Println(hex.EncodeToString(answer))
}
