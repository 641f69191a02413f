package users

import (
	"fmt"
	"testing"
)

func TestTheTableIsEmpty(t *testing.T) {
	t.Parallel()
	var n int
	if err := newDB(t).QueryRow("select count(*) from users").Scan(&n); err != nil || n != 0 {
		t.Fatal(n, err)
	}
}

func TestEveryTestHasItsOwnAda(t *testing.T) {
	for attempt := 1; attempt <= 3; attempt++ {
		t.Run(fmt.Sprint(attempt), func(t *testing.T) {
			t.Parallel()
			db := newDB(t)
			var id int
			err := db.QueryRow("insert into users (name) values ('Ada') returning id").Scan(&id)
			if err != nil || id != 1 {
				t.Fatal(id, err)
			}
			if _, err := db.Exec("insert into users (name) values ('Ada')"); err == nil {
				t.Fatal("a second Ada")
			}
		})
	}
}
