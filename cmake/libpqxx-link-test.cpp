// Links only where libpqxx's library has what its headers promise to C++20. Never run.
#include <string>

#include <pqxx/pqxx>

int main(int argc, char** argv) {
  try {
    pqxx::connection connection{std::string{argv[argc - 1]}};
    pqxx::work work{connection};
    const pqxx::result rows = work.exec("SELECT " + connection.quote(std::string{"x"}));
    const std::string name = connection.quote_name("y");
    std::string text;
    for (int row = 0; row < static_cast<int>(rows.size()); ++row)
      if (!rows[row][0].is_null()) text += rows[row][0].c_str();
    work.commit();
    return connection.sock() >= 0 && !name.empty() && text == "x" ? 0 : 1;
  } catch (const pqxx::sql_error& error) {
    return error.sqlstate().empty() ? 2 : 3;
  } catch (const pqxx::broken_connection&) {
    return 4;
  }
}
