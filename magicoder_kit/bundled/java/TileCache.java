package org.tidepool.map;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;

/**
 * Keeps recently drawn map tiles in memory, bounded by the bytes they occupy rather than by their
 * number. Concurrent requests for the same missing tile share a single download.
 */
public final class TileCache {

    /** Address of a tile in the usual zoom/column/row pyramid. */
    public record Key(int zoom, int column, int row) {
        public Key {
            if (zoom < 0 || zoom > 30) {
                throw new IllegalArgumentException("zoom out of range: " + zoom);
            }
            int span = 1 << zoom;
            if (column < 0 || row < 0 || column >= span || row >= span) {
                throw new IllegalArgumentException("no tile " + column + "/" + row + " at zoom " + zoom);
            }
        }

        public Key parent() {
            if (zoom == 0) {
                throw new IllegalStateException("the root tile has no parent");
            }
            return new Key(zoom - 1, column / 2, row / 2);
        }
    }

    private final long budget;
    private final Function<Key, byte[]> loader;
    private final Map<Key, byte[]> tiles = new LinkedHashMap<>(64, 0.75f, true);
    private final Map<Key, CompletableFuture<byte[]>> loading = new LinkedHashMap<>();
    private long occupied;
    private long hits;
    private long loads;

    public TileCache(long budget, Function<Key, byte[]> loader) {
        if (budget <= 0) {
            throw new IllegalArgumentException("budget must be positive: " + budget);
        }
        this.budget = budget;
        this.loader = Objects.requireNonNull(loader);
    }

    public byte[] get(Key key) {
        CompletableFuture<byte[]> pending;
        boolean mine = false;
        synchronized (this) {
            byte[] tile = tiles.get(key);
            if (tile != null) {
                hits++;
                return tile;
            }
            pending = loading.get(key);
            if (pending == null) {
                pending = new CompletableFuture<>();
                loading.put(key, pending);
                loads++;
                mine = true;
            }
        }
        if (mine) {
            load(key, pending);
        }
        try {
            return pending.join();
        } catch (CompletionException e) {
            throw new IllegalStateException("could not load " + key, e.getCause());
        }
    }

    /** Looks for the closest cached ancestor, to be drawn blurred while the real tile loads. */
    public synchronized byte[] placeholder(Key key) {
        while (key.zoom() > 0) {
            key = key.parent();
            byte[] tile = tiles.get(key);
            if (tile != null) {
                return tile;
            }
        }
        return null;
    }

    public synchronized void dropBelow(int zoom) {
        Iterator<Map.Entry<Key, byte[]>> entries = tiles.entrySet().iterator();
        while (entries.hasNext()) {
            Map.Entry<Key, byte[]> entry = entries.next();
            if (entry.getKey().zoom() > zoom) {
                occupied -= entry.getValue().length;
                entries.remove();
            }
        }
    }

    // The loader runs outside the lock, so a slow server only delays those who want this tile.
    private void load(Key key, CompletableFuture<byte[]> pending) {
        byte[] tile;
        try {
            tile = Objects.requireNonNull(loader.apply(key), "loader returned null");
        } catch (RuntimeException | Error e) {
            synchronized (this) {
                loading.remove(key);
            }
            pending.completeExceptionally(e);
            return;
        }
        synchronized (this) {
            loading.remove(key);
            store(key, tile);
        }
        pending.complete(tile);
    }

    private void store(Key key, byte[] tile) {
        if (tile.length > budget) {
            return;
        }
        byte[] previous = tiles.put(key, tile);
        occupied += tile.length - (previous == null ? 0 : previous.length);
        Iterator<byte[]> oldestFirst = tiles.values().iterator();
        while (occupied > budget) {
            occupied -= oldestFirst.next().length;
            oldestFirst.remove();
        }
    }

    public synchronized long occupiedBytes() {
        return occupied;
    }

    @Override
    public synchronized String toString() {
        return String.format("TileCache[%d tiles, %d of %d bytes, %d hits, %d loads]",
                tiles.size(), occupied, budget, hits, loads);
    }
}
