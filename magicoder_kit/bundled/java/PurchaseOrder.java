package org.tidepool.warehouse;

import java.math.BigDecimal;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** An order placed with a supplier, from the first draft until the last crate is on the shelf. */
public final class PurchaseOrder {

    public enum Status { DRAFT, SUBMITTED, CONFIRMED, PARTLY_RECEIVED, RECEIVED, CANCELLED }

    private static final Map<Status, Set<Status>> SUCCESSORS = new EnumMap<>(Status.class);

    static {
        SUCCESSORS.put(Status.DRAFT, EnumSet.of(Status.SUBMITTED, Status.CANCELLED));
        SUCCESSORS.put(Status.SUBMITTED, EnumSet.of(Status.CONFIRMED, Status.DRAFT, Status.CANCELLED));
        SUCCESSORS.put(Status.CONFIRMED,
                EnumSet.of(Status.PARTLY_RECEIVED, Status.RECEIVED, Status.CANCELLED));
        SUCCESSORS.put(Status.PARTLY_RECEIVED, EnumSet.of(Status.PARTLY_RECEIVED, Status.RECEIVED));
        SUCCESSORS.put(Status.RECEIVED, EnumSet.noneOf(Status.class));
        SUCCESSORS.put(Status.CANCELLED, EnumSet.noneOf(Status.class));
    }

    public record Change(Instant at, Status from, Status to, String note) { }

    /** Where received goods are booked in. */
    public interface Stock {
        void add(String sku, int quantity);
    }

    private static final class Line {
        final BigDecimal unitPrice;
        int ordered;
        int received;

        Line(BigDecimal unitPrice) {
            this.unitPrice = unitPrice;
        }

        int outstanding() {
            return ordered - received;
        }
    }

    private final String number;
    private final Clock clock;
    private final Map<String, Line> lines = new LinkedHashMap<>();
    private final List<Change> history = new ArrayList<>();
    private Status status = Status.DRAFT;

    public PurchaseOrder(String number, Clock clock) {
        this.number = Objects.requireNonNull(number);
        this.clock = Objects.requireNonNull(clock);
    }

    public void addLine(String sku, int quantity, BigDecimal unitPrice) {
        requireStatus(Status.DRAFT);
        if (quantity <= 0 || unitPrice.signum() < 0) {
            throw new IllegalArgumentException("bad quantity or price for " + sku);
        }
        Line line = lines.computeIfAbsent(sku, unused -> new Line(unitPrice));
        if (line.unitPrice.compareTo(unitPrice) != 0) {
            throw new IllegalArgumentException(sku + " is already ordered at " + line.unitPrice);
        }
        line.ordered = Math.addExact(line.ordered, quantity);
    }

    public void submit() {
        if (lines.isEmpty()) {
            throw new IllegalStateException(number + " has no lines");
        }
        moveTo(Status.SUBMITTED, lines.size() + " lines, total " + total());
    }

    public void confirm(String supplierReference) {
        moveTo(Status.CONFIRMED, "supplier reference " + supplierReference);
    }

    public void reject(String reason) {
        requireStatus(Status.SUBMITTED);
        moveTo(Status.DRAFT, reason);
    }

    public void cancel(String reason) {
        moveTo(Status.CANCELLED, reason);
    }

    /**
     * Books one delivery. Nothing is booked unless the whole delivery is acceptable.
     *
     * @return the quantities that are still missing, by SKU
     */
    public Map<String, Integer> receive(Map<String, Integer> delivery, Stock stock) {
        if (status != Status.CONFIRMED && status != Status.PARTLY_RECEIVED) {
            throw new IllegalStateException(number + " cannot receive goods while " + status);
        }
        if (delivery.isEmpty()) {
            throw new IllegalArgumentException("delivery for " + number + " is empty");
        }
        delivery.forEach((sku, quantity) -> {
            Line line = lines.get(sku);
            if (line == null) {
                throw new IllegalArgumentException(sku + " was not ordered on " + number);
            }
            if (quantity <= 0 || quantity > line.outstanding()) {
                throw new IllegalArgumentException(
                        sku + ": got " + quantity + ", outstanding " + line.outstanding());
            }
        });
        delivery.forEach((sku, quantity) -> {
            lines.get(sku).received += quantity;
            stock.add(sku, quantity);
        });
        Map<String, Integer> missing = outstanding();
        moveTo(missing.isEmpty() ? Status.RECEIVED : Status.PARTLY_RECEIVED, "delivery " + delivery);
        return missing;
    }

    public Map<String, Integer> outstanding() {
        Map<String, Integer> missing = new LinkedHashMap<>();
        lines.forEach((sku, line) -> {
            if (line.outstanding() > 0) {
                missing.put(sku, line.outstanding());
            }
        });
        return missing;
    }

    public BigDecimal total() {
        return lines.values().stream()
                .map(line -> line.unitPrice.multiply(BigDecimal.valueOf(line.ordered)))
                .reduce(BigDecimal.ZERO, BigDecimal::add);
    }

    public Status status() {
        return status;
    }

    public List<Change> history() {
        return Collections.unmodifiableList(history);
    }

    private void requireStatus(Status wanted) {
        if (status != wanted) {
            throw new IllegalStateException(number + " is " + status + ", not " + wanted);
        }
    }

    private void moveTo(Status next, String note) {
        if (!SUCCESSORS.get(status).contains(next)) {
            throw new IllegalStateException(number + " cannot go from " + status + " to " + next);
        }
        history.add(new Change(clock.instant(), status, next, note));
        status = next;
    }
}
