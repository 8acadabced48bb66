using System;
using System.Collections.Generic;
using System.Linq;

namespace Warehouse
{
    public enum MovementKind { Receipt, Shipment, Correction }

    public sealed class Product
    {
        public Product(string sku, string name, string category, decimal unitCost, int reorderLevel)
        {
            Sku = sku;
            Name = name;
            Category = category;
            UnitCost = unitCost;
            ReorderLevel = reorderLevel;
        }

        public string Sku { get; }
        public string Name { get; }
        public string Category { get; }
        public decimal UnitCost { get; }
        public int ReorderLevel { get; }
    }

    public sealed class Movement
    {
        public Movement(string sku, MovementKind kind, int quantity, DateTime at)
        {
            Sku = sku;
            Kind = kind;
            Quantity = quantity;
            At = at;
        }

        public string Sku { get; }
        public MovementKind Kind { get; }

        /// <summary>Signed change of the stock on hand.</summary>
        public int Quantity { get; }
        public DateTime At { get; }
    }

    public class InsufficientStockException : InvalidOperationException
    {
        public InsufficientStockException(string sku, int wanted, int onHand)
            : base($"Cannot ship {wanted} of {sku}: only {onHand} on hand.")
        {
        }
    }

    public class StockRepository
    {
        private readonly Dictionary<string, Product> _products = new Dictionary<string, Product>();
        private readonly List<Movement> _movements = new List<Movement>();
        private readonly Dictionary<string, int> _onHand = new Dictionary<string, int>();

        public void Register(Product product)
        {
            if (product == null) throw new ArgumentNullException(nameof(product));
            if (_products.ContainsKey(product.Sku))
                throw new ArgumentException($"SKU {product.Sku} is already registered.", nameof(product));
            _products.Add(product.Sku, product);
            _onHand.Add(product.Sku, 0);
        }

        public int OnHand(string sku) => _onHand.TryGetValue(sku, out int quantity)
            ? quantity
            : throw new KeyNotFoundException($"Unknown SKU {sku}.");

        public void Receive(string sku, int quantity, DateTime at)
        {
            RequirePositive(quantity);
            Post(new Movement(sku, MovementKind.Receipt, quantity, at));
        }

        public void Ship(string sku, int quantity, DateTime at)
        {
            RequirePositive(quantity);
            int available = OnHand(sku);
            if (available < quantity) throw new InsufficientStockException(sku, quantity, available);
            Post(new Movement(sku, MovementKind.Shipment, -quantity, at));
        }

        /// <summary>Records a stock count; the difference becomes a correction.</summary>
        public int Recount(string sku, int counted, DateTime at)
        {
            if (counted < 0) throw new ArgumentOutOfRangeException(nameof(counted));
            int difference = counted - OnHand(sku);
            if (difference != 0) Post(new Movement(sku, MovementKind.Correction, difference, at));
            return difference;
        }

        public IEnumerable<Product> NeedingReorder()
        {
            return from product in _products.Values
                   let shortfall = product.ReorderLevel - _onHand[product.Sku]
                   where shortfall > 0
                   orderby shortfall descending, product.Sku
                   select product;
        }

        public IReadOnlyDictionary<string, decimal> ValueByCategory()
        {
            return _products.Values
                .GroupBy(product => product.Category)
                .ToDictionary(
                    group => group.Key,
                    group => group.Sum(product => product.UnitCost * _onHand[product.Sku]));
        }

        public IReadOnlyList<(string Sku, int Shipped)> BestSellers(DateTime from, DateTime to, int count)
        {
            return _movements
                .Where(m => m.Kind == MovementKind.Shipment && m.At >= from && m.At < to)
                .GroupBy(m => m.Sku)
                .Select(group => (Sku: group.Key, Shipped: -group.Sum(m => m.Quantity)))
                .OrderByDescending(row => row.Shipped)
                .ThenBy(row => row.Sku, StringComparer.Ordinal)
                .Take(count)
                .ToList();
        }

        /// <summary>Products that have stock but have not been shipped since the given day.</summary>
        public IEnumerable<Product> DeadStock(DateTime since)
        {
            var moving = new HashSet<string>(_movements
                .Where(m => m.Kind == MovementKind.Shipment && m.At >= since)
                .Select(m => m.Sku));

            return _products.Values
                .Where(product => _onHand[product.Sku] > 0 && !moving.Contains(product.Sku))
                .OrderByDescending(product => product.UnitCost * _onHand[product.Sku]);
        }

        public int OnHandAt(string sku, DateTime moment) => _movements
            .Where(m => m.Sku == sku && m.At <= moment)
            .Sum(m => m.Quantity);

        private void Post(Movement movement)
        {
            _onHand[movement.Sku] = OnHand(movement.Sku) + movement.Quantity;
            _movements.Add(movement);
        }

        private static void RequirePositive(int quantity)
        {
            if (quantity <= 0)
                throw new ArgumentOutOfRangeException(nameof(quantity), "Quantity must be positive.");
        }
    }
}
