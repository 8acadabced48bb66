package org.tidepool.http;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Connects requests to handlers. Templates are stored in a tree of path segments, so matching costs
 * one step per segment however many routes there are. Literal segments win over parameters, and
 * parameters win over a trailing {@code *}.
 */
public final class Switchboard {

    public enum Method { GET, POST, PUT, PATCH, DELETE }

    public record Request(
            Method method, String path, Map<String, String> headers, Map<String, String> params) {

        public Optional<String> header(String name) {
            return Optional.ofNullable(headers.get(name.toLowerCase(Locale.ROOT)));
        }

        Request withParams(Map<String, String> captured) {
            return new Request(method, path, headers, Map.copyOf(captured));
        }
    }

    public record Response(int status, String body, Map<String, String> headers) {
        public static Response of(int status, String body) {
            return new Response(status, body, Map.of());
        }
    }

    @FunctionalInterface
    public interface Handler {
        Response handle(Request request) throws Exception;
    }

    /** Wraps a handler; the first filter added is the outermost one. */
    @FunctionalInterface
    public interface Filter {
        Handler around(Handler inner);
    }

    private static final class Node {
        final Map<String, Node> literals = new HashMap<>();
        final Map<Method, Handler> handlers = new EnumMap<>(Method.class);
        String parameter;
        Node parameterChild;
        Node wildcardChild;
    }

    private final Node root = new Node();
    private final List<Filter> filters = new ArrayList<>();

    public Switchboard filter(Filter filter) {
        filters.add(filter);
        return this;
    }

    public Switchboard on(Method method, String template, Handler handler) {
        Node node = root;
        List<String> segments = segments(template);
        for (int i = 0; i < segments.size(); i++) {
            String segment = segments.get(i);
            if (segment.equals("*")) {
                if (i != segments.size() - 1) {
                    throw new IllegalArgumentException("'*' must come last: " + template);
                }
                node.wildcardChild = node.wildcardChild == null ? new Node() : node.wildcardChild;
                node = node.wildcardChild;
            } else if (segment.startsWith("{") && segment.endsWith("}")) {
                String name = segment.substring(1, segment.length() - 1);
                if (node.parameterChild == null) {
                    node.parameter = name;
                    node.parameterChild = new Node();
                } else if (!node.parameter.equals(name)) {
                    throw new IllegalArgumentException(
                            "'" + name + "' clashes with '" + node.parameter + "' in " + template);
                }
                node = node.parameterChild;
            } else {
                node = node.literals.computeIfAbsent(segment, unused -> new Node());
            }
        }
        if (node.handlers.putIfAbsent(method, handler) != null) {
            throw new IllegalArgumentException("already routed: " + method + " " + template);
        }
        return this;
    }

    public Response handle(Request request) {
        Handler chain = this::dispatch;
        for (int i = filters.size() - 1; i >= 0; i--) {
            chain = filters.get(i).around(chain);
        }
        try {
            return chain.handle(request);
        } catch (IllegalArgumentException e) {
            return Response.of(400, String.valueOf(e.getMessage()));
        } catch (Exception e) {
            return Response.of(500, "internal error");
        }
    }

    private Response dispatch(Request request) throws Exception {
        Map<String, String> captured = new HashMap<>();
        Node node = find(root, segments(request.path()), 0, captured);
        if (node == null) {
            return Response.of(404, "no route for " + request.path());
        }
        Handler handler = node.handlers.get(request.method());
        if (handler == null) {
            String allowed = node.handlers.keySet().stream()
                    .map(Enum::name)
                    .collect(Collectors.joining(", "));
            return new Response(405, "method not allowed", Map.of("Allow", allowed));
        }
        return handler.handle(request.withParams(captured));
    }

    private static Node find(Node node, List<String> path, int depth, Map<String, String> captured) {
        if (depth == path.size()) {
            return node.handlers.isEmpty() ? null : node;
        }
        String segment = path.get(depth);
        Node literal = node.literals.get(segment);
        if (literal != null) {
            Node found = find(literal, path, depth + 1, captured);
            if (found != null) {
                return found;
            }
        }
        if (node.parameterChild != null) {
            Node found = find(node.parameterChild, path, depth + 1, captured);
            if (found != null) {
                // Recorded on the way out, so abandoned branches leave nothing behind.
                captured.put(node.parameter, segment);
                return found;
            }
        }
        if (node.wildcardChild != null) {
            captured.put("*", String.join("/", path.subList(depth, path.size())));
            return node.wildcardChild;
        }
        return null;
    }

    private static List<String> segments(String path) {
        List<String> parts = new ArrayList<>();
        for (String part : path.split("/")) {
            if (!part.isEmpty()) {
                parts.add(part);
            }
        }
        return parts;
    }
}
