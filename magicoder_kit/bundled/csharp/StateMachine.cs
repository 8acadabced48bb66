using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;

namespace Workflow
{
    public class InvalidTransitionException : InvalidOperationException
    {
        public InvalidTransitionException(object state, object trigger)
            : base($"Trigger '{trigger}' is not allowed in state '{state}'.")
        {
        }
    }

    public sealed class TransitionEventArgs<TState, TTrigger> : EventArgs
    {
        public TransitionEventArgs(TState source, TTrigger trigger, TState target)
        {
            Source = source;
            Trigger = trigger;
            Target = target;
        }

        public TState Source { get; }
        public TTrigger Trigger { get; }
        public TState Target { get; }
    }

    /// <summary>Fluent description of what a single state accepts and does.</summary>
    public sealed class StateRules<TState, TTrigger>
    {
        internal sealed class Edge
        {
            public TTrigger Trigger;
            public TState Target;
            public Func<bool> Guard;
        }

        internal readonly List<Edge> Edges = new List<Edge>();
        internal Action Entered = delegate { };
        internal Action Left = delegate { };

        public StateRules<TState, TTrigger> Permit(TTrigger trigger, TState target)
        {
            return PermitIf(trigger, target, () => true);
        }

        public StateRules<TState, TTrigger> PermitIf(TTrigger trigger, TState target, Func<bool> guard)
        {
            Edges.Add(new Edge { Trigger = trigger, Target = target, Guard = guard });
            return this;
        }

        public StateRules<TState, TTrigger> OnEntry(Action action)
        {
            Entered += action;
            return this;
        }

        public StateRules<TState, TTrigger> OnExit(Action action)
        {
            Left += action;
            return this;
        }
    }

    public class StateMachine<TState, TTrigger>
    {
        private readonly Dictionary<TState, StateRules<TState, TTrigger>> _rules =
            new Dictionary<TState, StateRules<TState, TTrigger>>();

        private readonly Queue<TTrigger> _queued = new Queue<TTrigger>();
        private bool _firing;

        public StateMachine(TState initial)
        {
            State = initial;
        }

        public event EventHandler<TransitionEventArgs<TState, TTrigger>> Transitioned;

        public TState State { get; private set; }

        public IEnumerable<TTrigger> PermittedTriggers =>
            RulesFor(State).Edges.Where(edge => edge.Guard()).Select(edge => edge.Trigger).Distinct();

        public StateRules<TState, TTrigger> Configure(TState state) => RulesFor(state);

        public bool CanFire(TTrigger trigger) => FindTarget(trigger, out _);

        /// <summary>
        /// Fires a trigger. Triggers fired from inside an entry or exit action
        /// wait until the running transition is complete.
        /// </summary>
        public void Fire(TTrigger trigger)
        {
            _queued.Enqueue(trigger);
            if (_firing) return;

            _firing = true;
            try
            {
                while (_queued.Count > 0) Step(_queued.Dequeue());
            }
            finally
            {
                _queued.Clear();
                _firing = false;
            }
        }

        /// <summary>Renders the configured transitions in Graphviz format.</summary>
        public string ToDot()
        {
            var dot = new StringBuilder("digraph {\n");
            foreach (var entry in _rules)
            {
                foreach (var edge in entry.Value.Edges)
                    dot.Append($"  \"{entry.Key}\" -> \"{edge.Target}\" [label=\"{edge.Trigger}\"];\n");
            }
            return dot.Append("}\n").ToString();
        }

        private void Step(TTrigger trigger)
        {
            if (!FindTarget(trigger, out TState target))
                throw new InvalidTransitionException(State, trigger);

            TState source = State;
            RulesFor(source).Left();
            State = target;
            RulesFor(target).Entered();
            Transitioned?.Invoke(this, new TransitionEventArgs<TState, TTrigger>(source, trigger, target));
        }

        private bool FindTarget(TTrigger trigger, out TState target)
        {
            // The first matching edge whose guard agrees wins.
            foreach (var edge in RulesFor(State).Edges)
            {
                if (EqualityComparer<TTrigger>.Default.Equals(edge.Trigger, trigger) && edge.Guard())
                {
                    target = edge.Target;
                    return true;
                }
            }
            target = default(TState);
            return false;
        }

        private StateRules<TState, TTrigger> RulesFor(TState state)
        {
            if (!_rules.TryGetValue(state, out var rules))
            {
                rules = new StateRules<TState, TTrigger>();
                _rules.Add(state, rules);
            }
            return rules;
        }
    }
}
