<?php

declare(strict_types=1);

namespace Billing;

/** An amount in the smallest unit of its currency, so that sums are always exact. */
final class Money
{
    public function __construct(
        public readonly int $cents,
        public readonly string $currency,
    ) {
    }

    public function plus(self $other): self
    {
        $this->requireSameCurrency($other);

        return new self($this->cents + $other->cents, $this->currency);
    }

    public function minus(self $other): self
    {
        $this->requireSameCurrency($other);

        return new self($this->cents - $other->cents, $this->currency);
    }

    public function times(int $factor): self
    {
        return new self($this->cents * $factor, $this->currency);
    }

    /** A share given in basis points (1900 is 19 %), rounded half away from zero. */
    public function share(int $basisPoints): self
    {
        $product = $this->cents * $basisPoints;
        $half = $product < 0 ? -5000 : 5000;

        return new self(intdiv($product + $half, 10_000), $this->currency);
    }

    /**
     * Splits the amount by weight without losing a cent.
     *
     * @param array<array-key, int> $weights none of them negative, at least one positive
     * @return array<array-key, self>
     */
    public function allocate(array $weights): array
    {
        $total = array_sum($weights);
        if ($total <= 0 || min($weights) < 0) {
            throw new \InvalidArgumentException('Weights must not be negative or all zero.');
        }

        $parts = [];
        $remainders = [];
        foreach ($weights as $key => $weight) {
            $product = $this->cents * $weight;
            $parts[$key] = intdiv($product, $total);
            $remainders[$key] = abs($product % $total);
        }

        // Whatever rounding down left over goes to the largest remainders.
        arsort($remainders);
        $step = $this->cents <=> 0;
        $left = abs($this->cents - array_sum($parts));
        foreach (array_slice(array_keys($remainders), 0, $left) as $key) {
            $parts[$key] += $step;
        }

        return array_map(fn (int $cents): self => new self($cents, $this->currency), $parts);
    }

    public function format(): string
    {
        $sign = $this->cents < 0 ? '-' : '';
        $units = number_format(intdiv(abs($this->cents), 100));

        return sprintf('%s%s.%02d %s', $sign, $units, abs($this->cents) % 100, $this->currency);
    }

    private function requireSameCurrency(self $other): void
    {
        if ($this->currency !== $other->currency) {
            throw new \DomainException("Cannot combine {$this->currency} with {$other->currency}.");
        }
    }
}

final class InvoiceLine
{
    public function __construct(
        public readonly string $description,
        public readonly int $quantity,
        public readonly Money $unitPrice,
        public readonly int $taxRate,
    ) {
        if ($quantity < 1) {
            throw new \InvalidArgumentException("\"$description\" needs a quantity of at least one.");
        }
    }

    public function net(): Money
    {
        return $this->unitPrice->times($this->quantity);
    }
}

final class InvoiceCalculator
{
    public function __construct(private readonly string $currency)
    {
    }

    /**
     * @param list<InvoiceLine> $lines
     * @param int $discountRate basis points taken off the whole invoice before tax
     * @return array{net: Money, discount: Money, tax: array<int, Money>, gross: Money}
     */
    public function total(array $lines, int $discountRate = 0): array
    {
        $byRate = [];
        foreach ($lines as $line) {
            $byRate[$line->taxRate] = ($byRate[$line->taxRate] ?? $this->zero())->plus($line->net());
        }
        ksort($byRate);

        $net = $this->sum($byRate);
        $discount = $net->share($discountRate);
        // Each tax rate carries its part of the discount, in proportion to its net amount.
        $reductions = $discount->cents === 0
            ? []
            : $discount->allocate(array_map(fn (Money $amount): int => $amount->cents, $byRate));

        $tax = [];
        foreach ($byRate as $rate => $amount) {
            $tax[$rate] = $amount->minus($reductions[$rate] ?? $this->zero())->share($rate);
        }

        return [
            'net' => $net,
            'discount' => $discount,
            'tax' => $tax,
            'gross' => $net->minus($discount)->plus($this->sum($tax)),
        ];
    }

    /** @param array<int, Money> $amounts */
    private function sum(array $amounts): Money
    {
        $add = fn (Money $sum, Money $next): Money => $sum->plus($next);

        return array_reduce($amounts, $add, $this->zero());
    }

    private function zero(): Money
    {
        return new Money(0, $this->currency);
    }
}
