package users

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"

	_ "github.com/lib/pq"
)

const schema = "create table users (id serial primary key, name text unique not null)"
const hash = "users-1" // of the schema: change it when that changes

// What github.com/allaboutapps/integresql-client-go has as models.TestDatabase.
type testDatabase struct {
	ID       int `json:"id"`
	Database struct {
		Config struct {
			Host, Username, Password, Database string
			Port                               int
		} `json:"config"`
	} `json:"database"`
}

func call(t *testing.T, method, path string, body any) (database testDatabase, status int) {
	t.Helper()
	encoded, _ := json.Marshal(body)
	url := os.Getenv("INTEGRESQL_CLIENT_BASE_URL") + "/v1/templates" + path
	request, err := http.NewRequest(method, url, bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&database); err != nil {
			t.Fatal(err)
		}
	}
	return database, response.StatusCode
}

func open(t *testing.T, database testDatabase) *sql.DB {
	t.Helper()
	c := database.Database.Config
	db, err := sql.Open("postgres", fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable",
		c.Host, c.Port, c.Username, c.Password, c.Database))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

var setUp sync.Once

// newDB gives a test a database of its own.
func newDB(t *testing.T) *sql.DB {
	t.Helper()
	setUp.Do(func() {
		template, status := call(t, "POST", "", map[string]string{"hash": hash})
		if status == http.StatusLocked {
			return // another process is at it, or has done it
		}
		db := open(t, template)
		defer db.Close()
		if _, err := db.Exec(schema); err != nil {
			t.Fatal(err)
		}
		call(t, "PUT", "/"+hash, nil)
	})
	database, status := call(t, "GET", "/"+hash+"/tests", nil)
	if status != http.StatusOK {
		t.Fatalf("no test database: %d", status)
	}
	db := open(t, database)
	t.Cleanup(func() { db.Close() })
	return db
}
