package org.tidepool.config;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the forgiving JSON dialect used by our settings files: line comments, trailing commas,
 * unquoted keys and single-quoted strings are allowed on top of plain JSON.
 *
 * <p>Objects become {@link Map}s in file order, arrays become {@link List}s, numbers become
 * {@link Long} or {@link Double}.
 */
public final class LenientJson {

    private final String source;
    private int position;

    private LenientJson(String source) {
        this.source = source;
    }

    public static Object parse(String source) {
        LenientJson reader = new LenientJson(source);
        Object value = reader.readValue();
        reader.skipBlank();
        if (reader.position < source.length()) {
            throw reader.error("unexpected text after the document");
        }
        return value;
    }

    private Object readValue() {
        skipBlank();
        char c = peek();
        return switch (c) {
            case '{' -> readObject();
            case '[' -> readArray();
            case '"', '\'' -> readString();
            default -> c == '-' || Character.isDigit(c) ? readNumber() : readKeyword();
        };
    }

    private Map<String, Object> readObject() {
        expect('{');
        Map<String, Object> members = new LinkedHashMap<>();
        while (!closes('}')) {
            String key = peek() == '"' || peek() == '\'' ? readString() : readWord();
            if (key.isEmpty()) {
                throw error("expected a member name");
            }
            skipBlank();
            expect(':');
            if (members.containsKey(key)) {
                throw error("duplicate member '" + key + "'");
            }
            members.put(key, readValue());
            separator('}');
        }
        return members;
    }

    private List<Object> readArray() {
        expect('[');
        List<Object> elements = new ArrayList<>();
        while (!closes(']')) {
            elements.add(readValue());
            separator(']');
        }
        return elements;
    }

    private String readString() {
        char quote = next();
        StringBuilder text = new StringBuilder();
        while (true) {
            char c = next();
            if (c == quote) {
                return text.toString();
            }
            if (c == '\n' || c == '\0') {
                throw error("string is not terminated");
            }
            text.append(c == '\\' ? readEscape() : c);
        }
    }

    private char readEscape() {
        char c = next();
        return switch (c) {
            case 'n' -> '\n';
            case 't' -> '\t';
            case 'r' -> '\r';
            case 'b' -> '\b';
            case 'f' -> '\f';
            case '"', '\'', '\\', '/' -> c;
            case 'u' -> {
                int code = 0;
                for (int i = 0; i < 4; i++) {
                    int digit = Character.digit(next(), 16);
                    if (digit < 0) {
                        throw error("bad unicode escape");
                    }
                    code = code * 16 + digit;
                }
                yield (char) code;
            }
            default -> throw error("unknown escape");
        };
    }

    private Number readNumber() {
        int start = position;
        while ("+-.eE".indexOf(peek()) >= 0 || Character.isDigit(peek())) {
            position++;
        }
        String text = source.substring(start, position);
        try {
            if (text.matches("-?\\d+")) {
                return Long.valueOf(text);
            }
            return Double.valueOf(text);
        } catch (NumberFormatException e) {
            throw error("bad number '" + text + "'");
        }
    }

    private Object readKeyword() {
        String word = readWord();
        return switch (word) {
            case "true" -> Boolean.TRUE;
            case "false" -> Boolean.FALSE;
            case "null" -> null;
            default -> throw error("expected a value");
        };
    }

    private String readWord() {
        int start = position;
        while (Character.isLetterOrDigit(peek()) || peek() == '_' || peek() == '-') {
            position++;
        }
        return source.substring(start, position);
    }

    private boolean closes(char bracket) {
        skipBlank();
        if (peek() != bracket) {
            return false;
        }
        position++;
        return true;
    }

    private void separator(char bracket) {
        skipBlank();
        if (peek() != bracket) {
            expect(',');
        }
    }

    private void expect(char wanted) {
        if (peek() != wanted) {
            throw error("expected '" + wanted + "'");
        }
        position++;
    }

    private void skipBlank() {
        while (true) {
            if (Character.isWhitespace(peek())) {
                position++;
            } else if (source.startsWith("//", position)) {
                int end = source.indexOf('\n', position);
                position = end < 0 ? source.length() : end;
            } else {
                return;
            }
        }
    }

    /** Returns NUL at the end of the input, which no rule of the grammar accepts. */
    private char peek() {
        return position < source.length() ? source.charAt(position) : '\0';
    }

    private char next() {
        char c = peek();
        position++;
        return c;
    }

    private IllegalArgumentException error(String problem) {
        int end = Math.min(position, source.length());
        long line = 1 + source.substring(0, end).chars().filter(c -> c == '\n').count();
        int column = end - source.lastIndexOf('\n', end - 1);
        return new IllegalArgumentException(problem + " (line " + line + ", column " + column + ")");
    }
}
