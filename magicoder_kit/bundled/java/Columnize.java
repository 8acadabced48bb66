import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Prints delimited text as an aligned table.
 *
 * <pre>usage: columnize [-d DELIMITER] [-s COLUMN] [-w WIDTH] [-H] [FILE...]</pre>
 */
public final class Columnize {

    private static final Pattern NUMERIC = Pattern.compile("[-+]?\\d+(\\.\\d+)?%?");

    private String delimiter = ",";
    private int sortColumn = -1;
    private int maxWidth = 40;
    private boolean header;
    private final List<String> files = new ArrayList<>();

    public static void main(String[] args) {
        Columnize tool = new Columnize();
        try {
            tool.readOptions(args);
            tool.print(tool.readRows(), System.out);
        } catch (IllegalArgumentException e) {
            System.err.println("columnize: " + e.getMessage());
            System.exit(64);
        } catch (NoSuchFileException e) {
            System.err.println("columnize: no such file: " + e.getFile());
            System.exit(66);
        } catch (IOException e) {
            System.err.println("columnize: " + e);
            System.exit(74);
        }
    }

    void readOptions(String... args) {
        for (int i = 0; i < args.length; i++) {
            switch (args[i]) {
                case "-H" -> header = true;
                case "-d" -> delimiter = operand(args, i++).replace("\\t", "\t");
                case "-s" -> sortColumn = positive(operand(args, i++), "column") - 1;
                case "-w" -> maxWidth = positive(operand(args, i++), "width");
                default -> {
                    if (args[i].startsWith("-") && args[i].length() > 1) {
                        throw new IllegalArgumentException("unknown option " + args[i]);
                    }
                    files.add(args[i]);
                }
            }
        }
        if (delimiter.isEmpty()) {
            throw new IllegalArgumentException("the delimiter is empty");
        }
    }

    private static String operand(String[] args, int option) {
        if (option + 1 >= args.length) {
            throw new IllegalArgumentException(args[option] + " needs a value");
        }
        return args[option + 1];
    }

    private static int positive(String text, String what) {
        try {
            int value = Integer.parseInt(text);
            if (value > 0) {
                return value;
            }
        } catch (NumberFormatException ignored) {
            // reported below together with values out of range
        }
        throw new IllegalArgumentException(what + " must be a positive number: " + text);
    }

    private List<List<String>> readRows() throws IOException {
        List<List<String>> rows = new ArrayList<>();
        for (String file : files.isEmpty() ? List.of("-") : files) {
            try (BufferedReader reader = file.equals("-")
                    ? new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))
                    : Files.newBufferedReader(Path.of(file))) {
                collect(reader, rows);
            }
        }
        return rows;
    }

    void collect(BufferedReader reader, List<List<String>> rows) throws IOException {
        String line;
        while ((line = reader.readLine()) != null) {
            if (!line.isBlank()) {
                rows.add(split(line));
            }
        }
    }

    /** Splits on the delimiter outside of double quotes; a doubled quote stands for itself. */
    List<String> split(String line) {
        List<String> cells = new ArrayList<>();
        StringBuilder cell = new StringBuilder();
        boolean quoted = false;
        for (int i = 0; i < line.length(); i++) {
            char c = line.charAt(i);
            if (c == '"') {
                if (quoted && i + 1 < line.length() && line.charAt(i + 1) == '"') {
                    cell.append(c);
                    i++;
                } else {
                    quoted = !quoted;
                }
            } else if (!quoted && line.startsWith(delimiter, i)) {
                cells.add(cell.toString().strip());
                cell.setLength(0);
                i += delimiter.length() - 1;
            } else {
                cell.append(c);
            }
        }
        cells.add(cell.toString().strip());
        return cells;
    }

    void print(List<List<String>> rows, PrintStream out) {
        if (rows.isEmpty()) {
            return;
        }
        List<List<String>> body = new ArrayList<>(rows.subList(header ? 1 : 0, rows.size()));
        if (sortColumn >= 0) {
            body.sort(Comparator.comparing(row -> cell(row, sortColumn), Columnize::compareCells));
        }
        int columns = rows.stream().mapToInt(List::size).max().orElse(0);
        int[] widths = new int[columns];
        boolean[] rightAligned = new boolean[columns];
        for (int c = 0; c < columns; c++) {
            final int column = c;
            int longest = rows.stream().mapToInt(row -> cell(row, column).length()).max().orElse(0);
            widths[c] = Math.min(maxWidth, longest);
            rightAligned[c] = !body.isEmpty() && body.stream()
                    .map(row -> cell(row, column))
                    .allMatch(text -> text.isEmpty() || NUMERIC.matcher(text).matches());
        }
        if (header) {
            out.println(format(rows.get(0), widths, rightAligned));
            out.println(rule(widths));
        }
        body.forEach(row -> out.println(format(row, widths, rightAligned)));
    }

    private String format(List<String> row, int[] widths, boolean[] rightAligned) {
        StringBuilder line = new StringBuilder();
        for (int c = 0; c < widths.length; c++) {
            String text = cell(row, c);
            if (text.length() > widths[c]) {
                text = text.substring(0, widths[c] - 1) + "~";
            }
            String padding = " ".repeat(widths[c] - text.length());
            line.append(c == 0 ? "" : "  ").append(rightAligned[c] ? padding + text : text + padding);
        }
        return line.toString().stripTrailing();
    }

    private static String rule(int[] widths) {
        List<String> dashes = new ArrayList<>();
        for (int width : widths) {
            dashes.add("-".repeat(width));
        }
        return String.join("  ", dashes);
    }

    private static String cell(List<String> row, int column) {
        return column < row.size() ? row.get(column) : "";
    }

    // Numbers sort by value and come before words.
    private static int compareCells(String a, String b) {
        boolean numericA = NUMERIC.matcher(a).matches();
        boolean numericB = NUMERIC.matcher(b).matches();
        if (numericA && numericB) {
            return Double.compare(numberIn(a), numberIn(b));
        }
        return numericA == numericB ? a.compareToIgnoreCase(b) : numericA ? -1 : 1;
    }

    private static double numberIn(String text) {
        return Double.parseDouble(text.endsWith("%") ? text.substring(0, text.length() - 1) : text);
    }
}
