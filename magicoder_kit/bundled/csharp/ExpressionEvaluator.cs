using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Formula
{
    public enum TokenKind { Number, Name, Symbol, End }

    public struct Token
    {
        public Token(TokenKind kind, string text, int position)
        {
            Kind = kind;
            Text = text;
            Position = position;
        }

        public TokenKind Kind { get; }
        public string Text { get; }
        public int Position { get; }
    }

    public class FormulaException : Exception
    {
        public FormulaException(string message, int position)
            : base($"{message} at column {position + 1}")
        {
            Position = position;
        }

        public int Position { get; }
    }

    public static class Tokenizer
    {
        private static readonly Regex Pattern = new Regex(
            @"\G(?:(?<number>\d+(?:\.\d+)?)|(?<name>[A-Za-z_]\w*)|(?<symbol>[-+*/%^(),]))");

        public static IEnumerable<Token> Tokenize(string source)
        {
            int position = 0;
            while (position < source.Length)
            {
                if (char.IsWhiteSpace(source[position]))
                {
                    position++;
                    continue;
                }
                Match match = Pattern.Match(source, position);
                if (!match.Success)
                    throw new FormulaException($"unexpected character '{source[position]}'", position);

                TokenKind kind = match.Groups["number"].Success ? TokenKind.Number
                    : match.Groups["name"].Success ? TokenKind.Name
                    : TokenKind.Symbol;
                yield return new Token(kind, match.Value, position);
                position += match.Length;
            }
            yield return new Token(TokenKind.End, "end of input", source.Length);
        }
    }

    /// <summary>Evaluates arithmetic formulas by precedence climbing.</summary>
    public class ExpressionEvaluator
    {
        private readonly Dictionary<string, double> _variables =
            new Dictionary<string, double>(StringComparer.OrdinalIgnoreCase);

        private readonly Dictionary<string, Func<double[], double>> _functions =
            new Dictionary<string, Func<double[], double>>(StringComparer.OrdinalIgnoreCase);

        private List<Token> _tokens;
        private int _next;

        public ExpressionEvaluator()
        {
            _variables["pi"] = Math.PI;
            Define("sqrt", 1, args => Math.Sqrt(args[0]));
            Define("abs", 1, args => Math.Abs(args[0]));
            Define("min", 2, args => Math.Min(args[0], args[1]));
            Define("max", 2, args => Math.Max(args[0], args[1]));
        }

        public double this[string variable]
        {
            set => _variables[variable] = value;
        }

        public void Define(string name, int arity, Func<double[], double> body)
        {
            _functions[name] = args => args.Length == arity
                ? body(args)
                : throw new ArgumentException($"{name} takes {arity} argument(s), got {args.Length}");
        }

        public double Evaluate(string source)
        {
            _tokens = new List<Token>(Tokenizer.Tokenize(source));
            _next = 0;
            double result = ParseBinary(1);
            if (Current.Kind != TokenKind.End) throw Unexpected(Current);
            return result;
        }

        private Token Current => _tokens[_next];

        private Token Advance() => _tokens[_next++];

        private bool At(string symbol) => Current.Kind == TokenKind.Symbol && Current.Text == symbol;

        private static int PrecedenceOf(string symbol)
        {
            switch (symbol)
            {
                case "^": return 3;
                case "*": case "/": case "%": return 2;
                case "+": case "-": return 1;
                default: return 0;
            }
        }

        private double ParseBinary(int minimum)
        {
            double left = ParseUnary();
            while (PrecedenceOf(Current.Text) >= minimum)
            {
                Token symbol = Advance();
                int precedence = PrecedenceOf(symbol.Text);
                // "^" groups to the right, everything else to the left.
                double right = ParseBinary(symbol.Text == "^" ? precedence : precedence + 1);
                left = Apply(symbol, left, right);
            }
            return left;
        }

        private double ParseUnary()
        {
            if (!At("-")) return ParsePrimary();
            Advance();
            return -ParseBinary(PrecedenceOf("^"));
        }

        private double ParsePrimary()
        {
            Token token = Advance();
            if (token.Kind == TokenKind.Number)
                return double.Parse(token.Text, CultureInfo.InvariantCulture);
            if (token.Kind == TokenKind.Name) return At("(") ? Call(token) : Lookup(token);
            if (token.Text != "(") throw Unexpected(token);

            double inner = ParseBinary(1);
            Close();
            return inner;
        }

        private double Lookup(Token name) => _variables.TryGetValue(name.Text, out double value)
            ? value
            : throw new FormulaException($"unknown variable '{name.Text}'", name.Position);

        private double Call(Token name)
        {
            if (!_functions.TryGetValue(name.Text, out var function))
                throw new FormulaException($"unknown function '{name.Text}'", name.Position);
            var arguments = new List<double>();
            do
            {
                Advance();
                arguments.Add(ParseBinary(1));
            } while (At(","));
            Close();
            return function(arguments.ToArray());
        }

        private void Close()
        {
            if (!At(")")) throw Unexpected(Current);
            Advance();
        }

        private static FormulaException Unexpected(Token token) =>
            new FormulaException($"unexpected {token.Text}", token.Position);

        private static double Apply(Token symbol, double left, double right)
        {
            switch (symbol.Text)
            {
                case "+": return left + right;
                case "-": return left - right;
                case "*": return left * right;
                case "%": return left % right;
                case "^": return Math.Pow(left, right);
                default:
                    if (right == 0) throw new FormulaException("division by zero", symbol.Position);
                    return left / right;
            }
        }
    }
}
