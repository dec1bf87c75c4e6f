// An OpenID Connect provider over TLS: the server of zitadel/oidc, with the users and the storage of its example, which
// itself only serves plain HTTP. It has client "web" with secret "s3cret-of-web", and user "test-user@localhost" with password
// "verysecure". Everything is in memory, so a new process has new keys and knows no sessions.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

// Arguments: address to listen at, issuer, certificate and key in PEM, and the redirect URIs of the client.
func main() {
	if len(os.Args) < 6 {
		log.Fatal("usage: oidc-provider ADDRESS ISSUER CERTIFICATE KEY REDIRECT...")
	}
	address, issuer, certificate, key := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	storage.RegisterClients(storage.WebClient("web", "s3cret-of-web", os.Args[5:]...))
	store := storage.NewStorage(storage.NewUserStore("https://localhost:0/"))
	server := exampleop.SetupServer(issuer, store, nil, false)
	log.Fatal(http.ListenAndServeTLS(address, certificate, key, server))
}
