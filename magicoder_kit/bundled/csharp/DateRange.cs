using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace Booking
{
    /// <summary>A half-open span of days: Start belongs to the range, End does not.</summary>
    public readonly struct DateRange : IEquatable<DateRange>, IComparable<DateRange>
    {
        private const string Format = "yyyy-MM-dd";

        public DateRange(DateTime start, DateTime end)
        {
            if (end.Date < start.Date)
                throw new ArgumentException("The end must not lie before the start.", nameof(end));
            Start = start.Date;
            End = end.Date;
        }

        public DateTime Start { get; }
        public DateTime End { get; }

        public int Nights => (End - Start).Days;
        public bool IsEmpty => Start == End;

        public static DateRange Parse(string text)
        {
            string[] parts = text.Split('/');
            if (parts.Length != 2) throw new FormatException($"Expected START/END, got '{text}'.");
            return new DateRange(
                DateTime.ParseExact(parts[0], Format, CultureInfo.InvariantCulture),
                DateTime.ParseExact(parts[1], Format, CultureInfo.InvariantCulture));
        }

        public bool Contains(DateTime day) => Start <= day.Date && day.Date < End;

        public bool Overlaps(DateRange other) =>
            !IsEmpty && !other.IsEmpty && Start < other.End && other.Start < End;

        public DateRange? Intersect(DateRange other)
        {
            if (!Overlaps(other)) return null;
            DateTime start = Start > other.Start ? Start : other.Start;
            DateTime end = End < other.End ? End : other.End;
            return new DateRange(start, end);
        }

        /// <summary>The zero, one or two pieces left after cutting out another range.</summary>
        public IEnumerable<DateRange> Except(DateRange other)
        {
            if (!Overlaps(other))
            {
                yield return this;
                yield break;
            }
            if (Start < other.Start) yield return new DateRange(Start, other.Start);
            if (other.End < End) yield return new DateRange(other.End, End);
        }

        public IEnumerable<DateTime> Days()
        {
            for (DateTime day = Start; day < End; day = day.AddDays(1)) yield return day;
        }

        public int CompareTo(DateRange other)
        {
            int byStart = Start.CompareTo(other.Start);
            return byStart != 0 ? byStart : End.CompareTo(other.End);
        }

        public bool Equals(DateRange other) => Start == other.Start && End == other.End;

        public override bool Equals(object obj) => obj is DateRange other && Equals(other);

        public override int GetHashCode() => unchecked((Start.GetHashCode() * 397) ^ End.GetHashCode());

        public override string ToString() => string.Format(
            CultureInfo.InvariantCulture, "{0:yyyy-MM-dd}/{1:yyyy-MM-dd}", Start, End);
    }

    public static class Calendar
    {
        /// <summary>Joins overlapping and touching ranges into the fewest possible ones.</summary>
        public static List<DateRange> Merge(IEnumerable<DateRange> ranges)
        {
            var merged = new List<DateRange>();
            foreach (DateRange range in ranges.Where(r => !r.IsEmpty).OrderBy(r => r))
            {
                int last = merged.Count - 1;
                if (last >= 0 && range.Start <= merged[last].End)
                {
                    DateTime end = range.End > merged[last].End ? range.End : merged[last].End;
                    merged[last] = new DateRange(merged[last].Start, end);
                }
                else
                {
                    merged.Add(range);
                }
            }
            return merged;
        }

        public static IEnumerable<DateRange> FreeSlots(
            DateRange season, IEnumerable<DateRange> bookings, int minimumNights)
        {
            IEnumerable<DateRange> free = new[] { season };
            foreach (DateRange booking in Merge(bookings))
            {
                free = free.SelectMany(slot => slot.Except(booking)).ToList();
            }
            return free.Where(slot => slot.Nights >= minimumNights);
        }

        public static int WorkingDays(DateRange range, ISet<DateTime> holidays)
        {
            return range.Days().Count(day =>
                day.DayOfWeek != DayOfWeek.Saturday &&
                day.DayOfWeek != DayOfWeek.Sunday &&
                !holidays.Contains(day));
        }

        /// <summary>Share of the season's nights that are booked, from 0 to 1.</summary>
        public static double Occupancy(DateRange season, IEnumerable<DateRange> bookings)
        {
            if (season.IsEmpty) return 0;
            int booked = Merge(bookings).Sum(booking => season.Intersect(booking)?.Nights ?? 0);
            return (double)booked / season.Nights;
        }
    }
}
