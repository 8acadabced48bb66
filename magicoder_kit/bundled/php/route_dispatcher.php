<?php

declare(strict_types=1);

namespace Library\Http;

final class Request
{
    /**
     * @param array<string, string> $query
     * @param array<string, string> $attributes values taken from the path
     */
    public function __construct(
        public readonly string $method,
        public readonly string $path,
        public readonly array $query = [],
        public readonly string $body = '',
        public readonly array $attributes = [],
    ) {
    }

    public function withAttributes(array $attributes): self
    {
        return new self($this->method, $this->path, $this->query, $this->body, $attributes);
    }
}

final class Response
{
    /** @param array<string, string> $headers */
    public function __construct(
        public readonly int $status,
        public readonly string $body = '',
        public readonly array $headers = [],
    ) {
    }

    public static function json(mixed $payload, int $status = 200): self
    {
        $body = json_encode($payload, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES);

        return new self($status, $body, ['Content-Type' => 'application/json']);
    }
}

final class RouteDispatcher
{
    private const PLACEHOLDERS = [
        'int' => '\d+',
        'slug' => '[a-z0-9]+(?:-[a-z0-9]+)*',
        'any' => '[^/]+',
    ];

    /** @var list<array{method: string, pattern: string, handler: callable(Request): Response}> */
    private array $routes = [];

    /** @var list<callable(Request, callable): Response> */
    private array $middleware = [];

    /** @param callable(Request): Response $handler */
    public function on(string $method, string $path, callable $handler): self
    {
        $this->routes[] = [
            'method' => strtoupper($method),
            'pattern' => $this->compile($path),
            'handler' => $handler,
        ];

        return $this;
    }

    /** Middleware runs in the order it was added, each wrapping everything after it. */
    public function wrap(callable $middleware): self
    {
        $this->middleware[] = $middleware;

        return $this;
    }

    public function dispatch(Request $request): Response
    {
        $next = $this->route(...);
        foreach (array_reverse($this->middleware) as $layer) {
            $next = fn (Request $request): Response => $layer($request, $next);
        }

        return $next($request);
    }

    private function route(Request $request): Response
    {
        $allowed = [];
        // A HEAD request is answered by the GET handler, minus the body.
        $method = $request->method === 'HEAD' ? 'GET' : $request->method;
        foreach ($this->routes as $route) {
            if (!preg_match($route['pattern'], $request->path, $match)) {
                continue;
            }
            if ($route['method'] !== $method) {
                $allowed[] = $route['method'];
                continue;
            }
            $attributes = array_filter($match, is_string(...), ARRAY_FILTER_USE_KEY);
            $attributes = array_map(rawurldecode(...), $attributes);
            $response = ($route['handler'])($request->withAttributes($attributes));

            return $request->method === 'HEAD'
                ? new Response($response->status, '', $response->headers)
                : $response;
        }

        if ($allowed !== []) {
            $allow = implode(', ', array_unique($allowed));

            return new Response(405, 'Method not allowed', ['Allow' => $allow]);
        }

        return new Response(404, 'Not found');
    }

    /** Turns "/books/{isbn:slug}/copies/{copy:int}" into an anchored regular expression. */
    private function compile(string $path): string
    {
        $pattern = '';
        foreach (explode('/', trim($path, '/')) as $segment) {
            if (!preg_match('/^\{(\w+)(?::(\w+))?\}$/', $segment, $match)) {
                $pattern .= '/' . preg_quote($segment, '#');
                continue;
            }
            $type = $match[2] ?? 'any';
            $expression = self::PLACEHOLDERS[$type]
                ?? throw new \InvalidArgumentException("Unknown placeholder type \"$type\" in $path");
            $pattern .= "/(?<{$match[1]}>$expression)";
        }

        return '#^' . $pattern . '$#D';
    }
}
