const { Client } = require('pg');

const client = new Client({
  host: 'localhost',
  port: 5432,
  user: 'postgres',
  password: 'mysecretpassword',
  database: 'myapp',
});

await client.connect();

// Create table
await client.query(`
  CREATE TABLE IF NOT EXISTS products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    price REAL
  )
`);

// Insert with transaction
await client.query('BEGIN');
try {
  await client.query('INSERT INTO products (id, name, price) VALUES ($1, $2, $3)',
                    [1, 'Widget', 9.99]);
  await client.query('COMMIT');
} catch (e) {
  await client.query('ROLLBACK');
  throw e;
}

// Query
const res = await client.query('SELECT * FROM products');
console.log(res.rows);

await client.end();
