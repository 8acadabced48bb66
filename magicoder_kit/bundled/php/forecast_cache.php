<?php

declare(strict_types=1);

namespace Weather;

/**
 * Keeps forecasts on disk so that a restart does not mean asking the provider again.
 *
 * Every entry is one JSON file, spread over 256 folders by the first byte of its hash.
 */
final class ForecastCache
{
    private readonly string $root;

    /** @var \Closure(): int */
    private readonly \Closure $clock;

    public function __construct(string $root, private readonly int $lifetime = 900, ?\Closure $clock = null)
    {
        if ($lifetime < 1) {
            throw new \InvalidArgumentException('The lifetime must be at least one second.');
        }
        $this->root = rtrim($root, '/');
        $this->clock = $clock ?? time(...);
    }

    /** Returns the stored value, or null when there is none or it has expired. */
    public function fetch(string $station): mixed
    {
        $entry = $this->read($this->pathFor($station));
        // Comparing the name as well rules out both stray files and hash collisions.
        if ($entry === null || $entry['station'] !== $station) {
            return null;
        }

        return $entry['expires'] > ($this->clock)() ? $entry['value'] : null;
    }

    public function store(string $station, mixed $value, ?int $lifetime = null): void
    {
        $path = $this->pathFor($station);
        $folder = dirname($path);
        if (!is_dir($folder) && !@mkdir($folder, 0o775, true) && !is_dir($folder)) {
            throw new \RuntimeException("Cannot create the cache folder $folder");
        }

        $json = json_encode([
            'station' => $station,
            'expires' => ($this->clock)() + ($lifetime ?? $this->lifetime),
            'value' => $value,
        ], JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);

        // Write beside the target and rename, so that readers never see half a file.
        $draft = sprintf('%s.%s.tmp', $path, bin2hex(random_bytes(4)));
        if (file_put_contents($draft, $json) !== strlen($json) || !rename($draft, $path)) {
            @unlink($draft);
            throw new \RuntimeException("Cannot write the cache entry for $station");
        }
    }

    /**
     * @template T
     * @param callable(): T $load
     * @return T
     */
    public function remember(string $station, callable $load, ?int $lifetime = null): mixed
    {
        $cached = $this->fetch($station);
        if ($cached !== null) {
            return $cached;
        }

        $fresh = $load();
        if ($fresh !== null) {
            $this->store($station, $fresh, $lifetime);
        }

        return $fresh;
    }

    public function forget(string $station): bool
    {
        return @unlink($this->pathFor($station));
    }

    /** Deletes expired and unreadable entries and returns how many there were. */
    public function prune(): int
    {
        $now = ($this->clock)();
        $removed = 0;
        foreach (glob($this->root . '/*/*.json') ?: [] as $path) {
            $entry = $this->read($path);
            if (($entry === null || $entry['expires'] <= $now) && @unlink($path)) {
                $removed++;
            }
        }

        return $removed;
    }

    private function pathFor(string $station): string
    {
        $hash = hash('sha256', $station);

        return sprintf('%s/%s/%s.json', $this->root, substr($hash, 0, 2), substr($hash, 2));
    }

    /** @return array{station: string, expires: int, value: mixed}|null */
    private function read(string $path): ?array
    {
        $json = @file_get_contents($path);
        if ($json === false) {
            return null;
        }
        $entry = json_decode($json, true);
        $complete = is_array($entry)
            && is_string($entry['station'] ?? null)
            && is_int($entry['expires'] ?? null)
            && array_key_exists('value', $entry);

        return $complete ? $entry : null;
    }
}
