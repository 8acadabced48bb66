// Spreadsheet-style formulas: tokenizer, precedence parser and evaluator.

#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace formula {

struct SyntaxError : std::runtime_error {
    SyntaxError(const std::string& what, std::size_t at)
        : std::runtime_error(what + " at column " + std::to_string(at + 1)), column(at) {}
    std::size_t column;
};

enum class Kind { Number, Name, Operator, Open, Close, Comma, End };

struct Token {
    Kind kind;
    std::string text;
    std::size_t column;
};

std::vector<Token> tokenize(const std::string& source) {
    std::vector<Token> tokens;
    std::size_t i = 0;
    auto peek = [&](std::size_t at) { return at < source.size() ? source[at] : '\0'; };
    auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
    auto is_word = [&](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };

    while (i < source.size()) {
        const char c = source[i];
        const std::size_t start = i;
        if (std::isspace(static_cast<unsigned char>(c))) {
            ++i;
            continue;
        }
        if (is_digit(c) || (c == '.' && is_digit(peek(i + 1)))) {
            char* end = nullptr;
            std::strtod(source.c_str() + i, &end);
            i = static_cast<std::size_t>(end - source.c_str());
            tokens.push_back({Kind::Number, source.substr(start, i - start), start});
        } else if (is_word(c)) {
            while (is_word(peek(i))) ++i;
            tokens.push_back({Kind::Name, source.substr(start, i - start), start});
        } else if (c == '(' || c == ')' || c == ',') {
            const Kind kind = c == '(' ? Kind::Open : c == ')' ? Kind::Close : Kind::Comma;
            tokens.push_back({kind, std::string(1, c), start});
            ++i;
        } else {
            std::string op(1, c);
            if ((c == '<' || c == '>') && peek(i + 1) == '=') op += '=';
            if (std::string("+-*/^<>").find(c) == std::string::npos)
                throw SyntaxError("unexpected character '" + op + "'", start);
            i += op.size();
            tokens.push_back({Kind::Operator, op, start});
        }
    }
    tokens.push_back({Kind::End, "", source.size()});
    return tokens;
}

using Scope = std::map<std::string, double>;
using Node = std::function<double(const Scope&)>;
using Builtin = std::function<double(const std::vector<double>&)>;

class Parser {
public:
    Parser(std::vector<Token> tokens, const std::map<std::string, Builtin>& builtins)
        : tokens_(std::move(tokens)), builtins_(builtins) {}

    Node parse() {
        Node root = expression(0);
        if (current().kind != Kind::End)
            throw SyntaxError("unexpected '" + current().text + "'", current().column);
        return root;
    }

private:
    struct Binding { int left; int right; };

    static Binding binding(const std::string& op) {
        if (op == "^") return {9, 8};  // right associative
        if (op == "*" || op == "/") return {5, 6};
        if (op == "+" || op == "-") return {3, 4};
        return {1, 2};
    }

    Node expression(int floor) {
        Node left = prefix();
        while (current().kind == Kind::Operator && binding(current().text).left > floor) {
            const std::string op = advance().text;
            left = combine(op, std::move(left), expression(binding(op).right - 1));
        }
        return left;
    }

    Node prefix() {
        const Token token = advance();
        if (token.kind == Kind::Number) {
            const double value = std::strtod(token.text.c_str(), nullptr);
            return [value](const Scope&) { return value; };
        }
        if (token.kind == Kind::Operator && token.text == "-") {
            Node operand = expression(6);
            return [operand](const Scope& scope) { return -operand(scope); };
        }
        if (token.kind == Kind::Open) {
            Node inner = expression(0);
            expect(Kind::Close, "')'");
            return inner;
        }
        if (token.kind == Kind::Name)
            return current().kind == Kind::Open ? call(token) : variable(token.text);
        throw SyntaxError("expected a value", token.column);
    }

    Node call(const Token& name) {
        const auto builtin = builtins_.find(name.text);
        if (builtin == builtins_.end())
            throw SyntaxError("unknown function '" + name.text + "'", name.column);
        advance();
        std::vector<Node> arguments;
        if (current().kind != Kind::Close) {
            arguments.push_back(expression(0));
            while (current().kind == Kind::Comma) {
                advance();
                arguments.push_back(expression(0));
            }
        }
        expect(Kind::Close, "')' after arguments");
        return [function = builtin->second, arguments](const Scope& scope) {
            std::vector<double> values;
            values.reserve(arguments.size());
            for (const Node& argument : arguments) values.push_back(argument(scope));
            return function(values);
        };
    }

    static Node variable(const std::string& name) {
        return [name](const Scope& scope) {
            const auto found = scope.find(name);
            if (found == scope.end()) throw std::out_of_range("no value for '" + name + "'");
            return found->second;
        };
    }

    static Node combine(const std::string& op, Node a, Node b) {
        if (op == "+") return [a, b](const Scope& s) { return a(s) + b(s); };
        if (op == "-") return [a, b](const Scope& s) { return a(s) - b(s); };
        if (op == "*") return [a, b](const Scope& s) { return a(s) * b(s); };
        if (op == "/") return [a, b](const Scope& s) { return a(s) / b(s); };
        if (op == "^") return [a, b](const Scope& s) { return std::pow(a(s), b(s)); };
        if (op == "<") return [a, b](const Scope& s) { return a(s) < b(s) ? 1.0 : 0.0; };
        if (op == "<=") return [a, b](const Scope& s) { return a(s) <= b(s) ? 1.0 : 0.0; };
        if (op == ">") return [a, b](const Scope& s) { return a(s) > b(s) ? 1.0 : 0.0; };
        return [a, b](const Scope& s) { return a(s) >= b(s) ? 1.0 : 0.0; };
    }

    const Token& current() const { return tokens_[position_]; }

    Token advance() {
        const Token token = current();
        if (token.kind != Kind::End) ++position_;
        return token;
    }

    void expect(Kind kind, const std::string& wanted) {
        if (current().kind != kind) throw SyntaxError("expected " + wanted, current().column);
        advance();
    }

    std::vector<Token> tokens_;
    const std::map<std::string, Builtin>& builtins_;
    std::size_t position_ = 0;
};

Node compile(const std::string& source, const std::map<std::string, Builtin>& builtins) {
    return Parser(tokenize(source), builtins).parse();
}

}  // namespace formula
