<?php

declare(strict_types=1);

namespace Notices;

final class TemplateSyntaxError extends \RuntimeException
{
}

/**
 * Renders small text templates:
 *
 *   {{ user.name }}               HTML-escaped value
 *   {{ signature|raw }}           value as it is
 *   {% each order.lines as line %} ... {% end %}
 *   {% if order.gift %} ... {% end %}
 */
final class TemplateRenderer
{
    private const TAG = '/(\{\{.*?\}\}|\{%.*?%\})/s';

    /** @var array<string, callable(string): string> */
    private array $filters;

    public function __construct()
    {
        $this->filters = [
            'upper' => strtoupper(...),
            'trim' => trim(...),
            'paragraphs' => fn (string $text): string => implode("\n\n", preg_split('/\R{2,}/', $text)),
        ];
    }

    /** @param callable(string): string $filter */
    public function addFilter(string $name, callable $filter): void
    {
        $this->filters[$name] = $filter;
    }

    /** @param array<string, mixed> $data */
    public function render(string $template, array $data): string
    {
        $parts = preg_split(self::TAG, $template, -1, PREG_SPLIT_DELIM_CAPTURE);
        $position = 0;
        $nodes = $this->parseBlock($parts, $position, nested: false);

        return $this->renderNodes($nodes, $data);
    }

    /**
     * @param list<string> $parts
     * @return list<array<string, mixed>>
     */
    private function parseBlock(array $parts, int &$position, bool $nested): array
    {
        $nodes = [];
        while ($position < count($parts)) {
            // The split alternates between plain text and tags, starting with text.
            $isText = $position % 2 === 0;
            $part = $parts[$position++];
            if ($isText) {
                $nodes[] = ['type' => 'text', 'text' => $part];
                continue;
            }

            $tag = trim(substr($part, 2, -2));
            if (str_starts_with($part, '{{')) {
                $nodes[] = ['type' => 'value', 'expression' => $tag];
                continue;
            }
            if ($tag === 'end') {
                return $nested ? $nodes : throw new TemplateSyntaxError('"end" closes nothing');
            }
            if (preg_match('/^if ([\w.]+)$/', $tag, $match)) {
                $nodes[] = [
                    'type' => 'if',
                    'path' => $match[1],
                    'body' => $this->parseBlock($parts, $position, nested: true),
                ];
            } elseif (preg_match('/^each ([\w.]+) as (\w+)$/', $tag, $match)) {
                $nodes[] = [
                    'type' => 'each',
                    'path' => $match[1],
                    'name' => $match[2],
                    'body' => $this->parseBlock($parts, $position, nested: true),
                ];
            } else {
                throw new TemplateSyntaxError("Unknown tag \"$tag\"");
            }
        }

        return $nested ? throw new TemplateSyntaxError('A block is never closed') : $nodes;
    }

    private function renderNodes(array $nodes, array $data): string
    {
        $output = '';
        foreach ($nodes as $node) {
            switch ($node['type']) {
                case 'text':
                    $output .= $node['text'];
                    break;
                case 'value':
                    $output .= $this->evaluate($node['expression'], $data);
                    break;
                case 'if':
                    if ($this->lookUp($node['path'], $data)) {
                        $output .= $this->renderNodes($node['body'], $data);
                    }
                    break;
                case 'each':
                    foreach ($this->lookUp($node['path'], $data) ?? [] as $item) {
                        $output .= $this->renderNodes($node['body'], [$node['name'] => $item] + $data);
                    }
                    break;
            }
        }

        return $output;
    }

    private function evaluate(string $expression, array $data): string
    {
        $steps = array_map(trim(...), explode('|', $expression));
        $value = (string) $this->lookUp(array_shift($steps), $data);

        // "raw" only switches escaping off, so it may stand anywhere in the chain.
        $escape = !in_array('raw', $steps, true);
        foreach (array_diff($steps, ['raw']) as $name) {
            $filter = $this->filters[$name] ?? throw new TemplateSyntaxError("Unknown filter \"$name\"");
            $value = $filter($value);
        }

        return $escape ? htmlspecialchars($value, ENT_QUOTES | ENT_SUBSTITUTE) : $value;
    }

    /** Follows a dotted path through arrays and public properties; a missing step gives null. */
    private function lookUp(string $path, array $data): mixed
    {
        $value = $data;
        foreach (explode('.', $path) as $key) {
            $value = is_object($value) ? ($value->$key ?? null) : ($value[$key] ?? null);
        }

        return $value;
    }
}
