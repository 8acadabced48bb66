<?php

declare(strict_types=1);

namespace Regatta;

/** Outcome of checking one crew's entry form. */
final class ValidationResult
{
    /** @var array<string, list<string>> */
    private array $errors = [];

    public function add(string $field, string $message): void
    {
        $this->errors[$field][] = $message;
    }

    public function isValid(): bool
    {
        return $this->errors === [];
    }

    /** @return array<string, list<string>> */
    public function errors(): array
    {
        return $this->errors;
    }

    public function firstError(string $field): ?string
    {
        return $this->errors[$field][0] ?? null;
    }
}

final class SignupValidator
{
    private const REQUIRED = ['boat', 'skipper_email', 'start_date', 'crew'];
    private const MAX_CREW = 8;
    private const MIN_AGE = 12;

    public function __construct(
        private readonly \DateTimeImmutable $opens,
        private readonly \DateTimeImmutable $closes,
    ) {
        if ($closes < $opens) {
            throw new \InvalidArgumentException('The regatta cannot close before it opens.');
        }
    }

    /** @param array<string, mixed> $form */
    public function validate(array $form): ValidationResult
    {
        $result = new ValidationResult();
        foreach (self::REQUIRED as $field) {
            if (!isset($form[$field]) || $form[$field] === '' || $form[$field] === []) {
                $result->add($field, 'This field is required.');
            }
        }

        // The remaining checks would only repeat the message above for missing fields.
        $present = array_diff_key($form, $result->errors());
        foreach ($present as $field => $value) {
            match ($field) {
                'boat' => $this->checkBoat($value, $result),
                'skipper_email' => $this->checkEmail($value, $result),
                'start_date' => $this->checkStartDate($value, $result),
                'sail_number' => $this->checkSailNumber($value, $result),
                'crew' => $this->checkCrew($value, $result),
                default => null,
            };
        }

        return $result;
    }

    private function checkBoat(mixed $name, ValidationResult $result): void
    {
        if (!is_string($name) || !preg_match('/^\S.{0,38}\S$/Du', $name)) {
            $result->add('boat', 'Boat names have 2 to 40 characters and no spaces around them.');
        }
    }

    private function checkEmail(mixed $email, ValidationResult $result): void
    {
        if (filter_var($email, FILTER_VALIDATE_EMAIL, FILTER_FLAG_EMAIL_UNICODE) === false) {
            $result->add('skipper_email', 'Please enter a complete e-mail address.');
        }
    }

    private function checkStartDate(mixed $date, ValidationResult $result): void
    {
        $parsed = is_string($date) ? \DateTimeImmutable::createFromFormat('!Y-m-d', $date) : false;
        // PHP rolls 2024-02-31 over into March, so compare with what was typed.
        if ($parsed === false || $parsed->format('Y-m-d') !== $date) {
            $result->add('start_date', 'Dates must exist and look like 2024-07-31.');
        } elseif ($parsed < $this->opens || $parsed > $this->closes) {
            $result->add('start_date', sprintf(
                'Races start between %s and %s.',
                $this->opens->format('j F'),
                $this->closes->format('j F'),
            ));
        }
    }

    private function checkSailNumber(mixed $number, ValidationResult $result): void
    {
        if (!is_string($number) || !preg_match('/^[A-Z]{3} ?\d{1,5}$/D', $number)) {
            $result->add('sail_number', 'Sail numbers are a country code and up to five digits.');
        }
    }

    private function checkCrew(mixed $crew, ValidationResult $result): void
    {
        if (!is_array($crew) || !array_is_list($crew)) {
            $result->add('crew', 'The crew must be a list of people.');
            return;
        }
        if (count($crew) > self::MAX_CREW) {
            $result->add('crew', sprintf('At most %d people may sail on one boat.', self::MAX_CREW));
        }

        foreach ($crew as $position => $member) {
            $name = $member['name'] ?? null;
            if (!is_string($name) || trim($name) === '') {
                $result->add("crew.$position.name", 'Every crew member needs a name.');
            }
            $age = filter_var($member['age'] ?? null, FILTER_VALIDATE_INT, [
                'options' => ['min_range' => self::MIN_AGE, 'max_range' => 99],
            ]);
            if ($age === false) {
                $result->add("crew.$position.age", sprintf('Crew must be at least %d.', self::MIN_AGE));
            }
        }
    }
}
