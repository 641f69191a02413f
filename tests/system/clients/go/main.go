// Scenarios for pgx (`client pgx`) and lib/pq (`client pq`).
package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/lib/pq"
)

const (
	table  = "create table typed (n numeric, t timestamptz, j jsonb, b bytea, u uuid, a int[], x text, f float8, o bool)"
	number = "12345678901234567890.123456789"
	name   = "01234567-89ab-cdef-0123-456789abcdef"
)

var (
	url    = os.Getenv("DATABASE_URL")
	moment = time.Date(2026, 2, 28, 23, 59, 59, 123456000, time.UTC)
	lines  = func() string {
		var all strings.Builder
		for n := 0; n < 10000; n++ {
			fmt.Fprintf(&all, "%d\trow %d\n", n, n)
		}
		return all.String()
	}()
)

func allBytes() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func report(test string, call func(ctx context.Context) error) {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	detail := ""
	if err := call(ctx); err != nil {
		detail = err.Error()
	}
	line, _ := json.Marshal(map[string]any{"test": test, "ok": detail == "", "detail": detail})
	fmt.Println(string(line))
}

func same(got, wanted any) error {
	if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", wanted) {
		return fmt.Errorf("%#v is not %#v", got, wanted)
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// inParallel runs eight workers and gives the first error.
func inParallel(work func() error) error {
	var group sync.WaitGroup
	failures := make(chan error, 8)
	for n := 0; n < 8; n++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := work(); err != nil {
				failures <- err
			}
		}()
	}
	group.Wait()
	close(failures)
	return <-failures
}

func usePgx() error {
	connection, err := pgx.Connect(context.Background(), url)
	if err != nil {
		return err
	}
	defer connection.Close(context.Background())
	exec := func(ctx context.Context, statements ...string) error {
		for _, statement := range statements {
			if _, err := connection.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}
	report("typed_round_trip", func(ctx context.Context) error {
		if err := exec(ctx, table); err != nil {
			return err
		}
		var exact pgtype.Numeric
		_ = exact.Scan(number)
		_, err := connection.Exec(ctx, "insert into typed values ($1,$2,$3,$4,$5,$6,$7,$8,$9)", exact, moment,
			map[string]any{"a": []any{1, nil}}, allBytes(), name, []*int32{ptr(1), nil, ptr(3)}, nil, 0.1, true)
		if err != nil {
			return err
		}
		var n pgtype.Numeric
		var t time.Time
		var j map[string]any
		var b []byte
		var u pgtype.UUID
		var a []*int32
		var x *string
		var f float64
		var o bool
		if err := connection.QueryRow(ctx, "select * from typed").Scan(&n, &t, &j, &b, &u, &a, &x, &f, &o); err != nil {
			return err
		}
		text, _ := n.Value()
		id, _ := u.Value()
		return first(same(text, number), same(t.UTC(), moment), same(fmt.Sprint(j["a"]), "[1 <nil>]"), same(b, allBytes()), same(id, name),
			same(*a[0]+*a[2], int32(4)), same(a[1] == nil, true), same(x == nil, true), same(f, 0.1), same(o, true))
	})
	report("prepared_statements", func(ctx context.Context) error {
		if _, err := connection.Prepare(ctx, "twice", "select $1::int * 2"); err != nil {
			return err
		}
		for n := 0; n < 100; n++ {
			var double int
			if err := connection.QueryRow(ctx, "twice", n).Scan(&double); err != nil {
				return err
			}
			if double != n*2 {
				return fmt.Errorf("%d for %d", double, n)
			}
		}
		return nil
	})
	report("transaction_rollback", func(ctx context.Context) error {
		if err := exec(ctx, "create table tx (n int)"); err != nil {
			return err
		}
		mine := errors.New("mine")
		err := pgx.BeginFunc(ctx, connection, func(tx pgx.Tx) error {
			_, _ = tx.Exec(ctx, "insert into tx values (1)")
			return mine
		})
		if !errors.Is(err, mine) {
			return err
		}
		err = pgx.BeginFunc(ctx, connection, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, "insert into tx values (2)"); return err })
		if err != nil {
			return err
		}
		var sum int
		err = connection.QueryRow(ctx, "select sum(n) from tx").Scan(&sum)
		return first(err, same(sum, 2))
	})
	report("unique_violation", func(ctx context.Context) error {
		if err := exec(ctx, "create table once (n int primary key)", "insert into once values (1)"); err != nil {
			return err
		}
		_, err := connection.Exec(ctx, "insert into once values ($1)", 1)
		var answer *pgconn.PgError
		if !errors.As(err, &answer) {
			return fmt.Errorf("expected an error, got %v", err)
		}
		return first(same(answer.Code, "23505"), exec(ctx, "select 1"))
	})
	report("copy_in_out", func(ctx context.Context) error {
		if err := exec(ctx, "create table copied (n int, x text)"); err != nil {
			return err
		}
		rows := make([][]any, 10000)
		for n := range rows {
			rows[n] = []any{n, fmt.Sprintf("row %d", n)}
		}
		if _, err := connection.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"n", "x"}, pgx.CopyFromRows(rows)); err != nil {
			return err
		}
		var out bytes.Buffer
		_, err := connection.PgConn().CopyTo(ctx, &out, "copy copied to stdout")
		if err == nil && out.String() != lines {
			err = errors.New("what came out is not what went in")
		}
		return err
	})
	report("listen_notify", func(ctx context.Context) error {
		other, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer other.Close(ctx)
		if _, err := other.Exec(ctx, "listen ch"); err != nil {
			return err
		}
		if err := exec(ctx, "notify ch, 'hi'"); err != nil {
			return err
		}
		soon, stop := context.WithTimeout(ctx, 5*time.Second)
		defer stop()
		notification, err := other.WaitForNotification(soon)
		if err != nil {
			return err
		}
		return same(notification.Payload, "hi")
	})
	report("cancel", func(ctx context.Context) error {
		other, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer other.Close(ctx)
		time.AfterFunc(300*time.Millisecond, func() { _ = other.PgConn().CancelRequest(ctx) })
		_, err = other.Exec(ctx, "select pg_sleep(20)")
		var answer *pgconn.PgError
		if !errors.As(err, &answer) {
			return fmt.Errorf("expected an error, got %v", err)
		}
		return same(answer.Code, "57014")
	})
	report("concurrent_sessions", func(ctx context.Context) error {
		if err := exec(ctx, "create table counter (n int)", "insert into counter values (0)"); err != nil {
			return err
		}
		pool, err := pgxpool.New(ctx, url+"?pool_max_conns=8")
		if err != nil {
			return err
		}
		defer pool.Close()
		err = inParallel(func() error {
			for n := 0; n < 20; n++ {
				if _, err := pool.Exec(ctx, "update counter set n = n + 1"); err != nil {
					return err
				}
			}
			return nil
		})
		var n int
		if err == nil {
			err = connection.QueryRow(ctx, "select n from counter").Scan(&n)
		}
		return first(err, same(n, 160))
	})
	report("pipeline_batch", func(ctx context.Context) error {
		if err := exec(ctx, "create table batch (n int)"); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		for n := 0; n < 500; n++ {
			batch.Queue("insert into batch values ($1)", n)
		}
		if err := connection.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		var sum int
		err := connection.QueryRow(ctx, "select sum(n) from batch").Scan(&sum)
		return first(err, same(sum, 124750))
	})
	return nil
}

func ptr(n int32) *int32 { return &n }

func usePq() error {
	address := url + "?sslmode=disable"
	db, err := sql.Open("postgres", address)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(8)
	exec := func(ctx context.Context, statements ...string) error {
		for _, statement := range statements {
			if _, err := db.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}
	report("typed_round_trip", func(ctx context.Context) error {
		if err := exec(ctx, table); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, "insert into typed values ($1,$2,$3,$4,$5,$6,$7,$8,$9)", number, moment, `{"a": [1, null]}`,
			allBytes(), name, pq.Array([]sql.NullInt64{{Int64: 1, Valid: true}, {}, {Int64: 3, Valid: true}}), nil, 0.1, true)
		if err != nil {
			return err
		}
		var n, j, u string
		var t time.Time
		var b []byte
		var a []sql.NullInt64
		var x sql.NullString
		var f float64
		var o bool
		row := db.QueryRowContext(ctx, "select * from typed")
		if err := row.Scan(&n, &t, &j, &b, &u, pq.Array(&a), &x, &f, &o); err != nil {
			return err
		}
		return first(same(n, number), same(t.UTC(), moment), same(j, `{"a": [1, null]}`), same(b, allBytes()), same(u, name),
			same(len(a), 3), same(a[1].Valid, false), same(x.Valid, false), same(f, 0.1), same(o, true))
	})
	report("prepared_statements", func(ctx context.Context) error {
		twice, err := db.PrepareContext(ctx, "select $1::int * 2")
		if err != nil {
			return err
		}
		defer twice.Close()
		for n := 0; n < 100; n++ {
			var double int
			if err := twice.QueryRowContext(ctx, n).Scan(&double); err != nil {
				return err
			}
			if double != n*2 {
				return fmt.Errorf("%d for %d", double, n)
			}
		}
		return nil
	})
	report("transaction_rollback", func(ctx context.Context) error {
		if err := exec(ctx, "create table tx (n int)"); err != nil {
			return err
		}
		for n, end := range []func(*sql.Tx) error{(*sql.Tx).Rollback, (*sql.Tx).Commit} {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "insert into tx values ($1)", n+1); err != nil {
				return err
			}
			if err := end(tx); err != nil {
				return err
			}
		}
		var sum int
		err := db.QueryRowContext(ctx, "select sum(n) from tx").Scan(&sum)
		return first(err, same(sum, 2))
	})
	report("unique_violation", func(ctx context.Context) error {
		if err := exec(ctx, "create table once (n int primary key)", "insert into once values (1)"); err != nil {
			return err
		}
		var answer *pq.Error
		if err := exec(ctx, "insert into once values (1)"); !errors.As(err, &answer) {
			return fmt.Errorf("expected an error, got %v", err)
		}
		return same(string(answer.Code), "23505")
	})
	report("copy_in_out", func(ctx context.Context) error {
		if err := exec(ctx, "create table copied (n int, x text)"); err != nil {
			return err
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		copying, err := tx.PrepareContext(ctx, pq.CopyIn("copied", "n", "x"))
		if err != nil {
			return err
		}
		for n := 0; n < 10000; n++ {
			if _, err := copying.ExecContext(ctx, n, fmt.Sprintf("row %d", n)); err != nil {
				return err
			}
		}
		_, err = copying.ExecContext(ctx)
		if err = first(err, copying.Close(), tx.Commit()); err != nil {
			return err
		}
		var count int
		err = db.QueryRowContext(ctx, "select count(distinct n) from copied").Scan(&count)
		return first(err, same(count, 10000))
	})
	report("listen_notify", func(ctx context.Context) error {
		listener := pq.NewListener(address, time.Second, 5*time.Second, nil)
		defer listener.Close()
		if err := first(listener.Listen("ch"), exec(ctx, "notify ch, 'hi'")); err != nil {
			return err
		}
		select {
		case notification := <-listener.Notify:
			return same(notification.Extra, "hi")
		case <-time.After(5 * time.Second):
			return io.EOF
		}
	})
	report("cancel", func(ctx context.Context) error {
		short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
		defer stop()
		err := exec(short, "select pg_sleep(20)")
		var answer *pq.Error
		if !errors.As(err, &answer) && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("not cancelled: %v", err)
		}
		deadline := time.Now().Add(5 * time.Second)
		for active := 1; active > 0; time.Sleep(20 * time.Millisecond) {
			query := "select count(*) from pg_stat_activity where state = 'active' and query = 'select pg_sleep(20)'"
			if err := db.QueryRowContext(ctx, query).Scan(&active); err != nil {
				return err
			}
			if time.Now().After(deadline) {
				return errors.New("the query goes on in the server")
			}
		}
		return nil
	})
	report("concurrent_sessions", func(ctx context.Context) error {
		if err := exec(ctx, "create table counter (n int)", "insert into counter values (0)"); err != nil {
			return err
		}
		err := inParallel(func() error {
			for n := 0; n < 20; n++ {
				if err := exec(ctx, "update counter set n = n + 1"); err != nil {
					return err
				}
			}
			return nil
		})
		var n int
		if err == nil {
			err = db.QueryRowContext(ctx, "select n from counter").Scan(&n)
		}
		return first(err, same(n, 160))
	})
	return nil
}

func main() {
	use := map[string]func() error{"pgx": usePgx, "pq": usePq}[os.Args[1]]
	if err := use(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
