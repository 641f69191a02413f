// Two sessions of one database in this process, from C++: transactions that wait for each other, a notification, and a
// connection string for drivers.
//
//     c++ -std=c++17 bank.cc $(pkg-config --cflags --libs calf) -o bank && ./bank
#include <calf/calf.hpp>

#include <iostream>
#include <thread>

static void transfer(calf::Session& session, int from, int to, int amount) {
  session.execute("begin");
  for (const auto& [account, change] : {std::pair{from, -amount}, std::pair{to, amount}}) {
    session.query("update account set balance = balance + $1::int where id = $2::int", {change, account});
  }
  session.execute("commit");
}

int main() try {
  calf::Cluster cluster;
  calf::Session ann = cluster.session();
  calf::Session bob = cluster.session();
  ann.execute("create table account (id int primary key, balance int check (balance >= 0))");
  ann.copy_in("copy account from stdin", "1\t1000\n2\t1000\n");
  bob.execute("listen payday");

  std::thread other([&cluster] {
    calf::Session session = cluster.session();
    for (int i = 0; i < 100; ++i) transfer(session, 1, 2, 5);
    session.execute("notify payday, 'done'");
  });
  for (int i = 0; i < 100; ++i) transfer(ann, 1, 2, 3);
  const auto notification = bob.next_notification(10'000);
  other.join();
  std::cout << notification.value().payload << '\n';

  const calf::Result accounts = ann.query("select id, balance from account order by id");
  for (std::size_t row = 0; row < accounts.size(); ++row) {
    std::cout << accounts.at(row, 0).value() << ": " << accounts.at(row, 1).value() << '\n';
  }
  try {
    transfer(ann, 1, 2, 100'000);
  } catch (const calf::Error& error) {
    std::cout << error.sqlstate() << ": " << error.field(CALF_FIELD_CONSTRAINT).value_or("") << '\n';
    ann.execute("rollback");
  }
  std::cout << cluster.listen() << '\n';
  cluster.close();
} catch (const calf::Error& error) {
  std::cerr << error.sqlstate() << ": " << error.what() << '\n';
  return 1;
}
