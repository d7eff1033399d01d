using System.Globalization;
using System.Text.Json.Nodes;
using System.Threading.Channels;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>
/// The objects of a stub API server: by kind and name, with versions, and with the events that watches read.
/// </summary>
internal sealed class StubObjects
{
    private readonly Lock gate = new();
    private readonly Dictionary<(string Kind, string Name), JsonObject> all = [];
    private readonly List<StubEvent> log = [];
    private readonly List<Channel<StubEvent>> watches = [];
    private long version = 1;
    private long oldest;

    /// <summary>Raised after a change, outside of the lock.</summary>
    public event Action<StubEvent>? Changed;

    /// <summary>The version of the last change.</summary>
    public string Version
    {
        get
        {
            lock (gate) return version.ToString(CultureInfo.InvariantCulture);
        }
    }

    public JsonObject? Find(string kind, string name)
    {
        lock (gate) return all.GetValueOrDefault((kind, name))?.DeepClone().AsObject();
    }

    public List<JsonObject> List(string kind)
    {
        lock (gate) return [.. all.Where(o => o.Key.Kind == kind).Select(o => o.Value.DeepClone().AsObject())];
    }

    /// <summary>Adds an object. Returns null if one with its name exists.</summary>
    public JsonObject? Create(string kind, JsonObject body)
    {
        var name = (string)body["metadata"]!["name"]!;
        StubEvent change;
        lock (gate)
        {
            if (all.ContainsKey((kind, name))) return null;
            var metadata = body["metadata"]!.AsObject();
            metadata["uid"] = Guid.NewGuid().ToString();
            metadata["namespace"] = StubKubernetes.Namespace;
            metadata["creationTimestamp"] = StubKubelet.Now();
            change = Store(kind, name, body, "ADDED");
        }

        Changed?.Invoke(change);
        return change.Object.DeepClone().AsObject();
    }

    /// <summary>Changes an object, if it exists. Returns it, or null.</summary>
    public JsonObject? Change(string kind, string name, Action<JsonObject> edit)
    {
        StubEvent change;
        lock (gate)
        {
            if (!all.TryGetValue((kind, name), out var found)) return null;
            var next = found.DeepClone().AsObject();
            edit(next);
            change = Store(kind, name, next, "MODIFIED");
        }

        Changed?.Invoke(change);
        return change.Object.DeepClone().AsObject();
    }

    /// <summary>Removes an object, and all that it owns.</summary>
    public void Remove(string kind, string name)
    {
        var changes = new List<StubEvent>();
        lock (gate)
        {
            if (!all.Remove((kind, name), out var found)) return;
            changes.Add(Log("DELETED", kind, name, found));
            var uid = (string)found["metadata"]!["uid"]!;
            var owned = all.Where(o => o.Value["metadata"]!["ownerReferences"] is JsonArray owners
                && owners.Any(r => (string?)r!["uid"] == uid)).Select(o => o.Key).ToList();
            foreach (var key in owned)
                if (all.Remove(key, out var child)) changes.Add(Log("DELETED", key.Kind, key.Name, child));
        }

        foreach (var change in changes) Changed?.Invoke(change);
    }

    /// <summary>Forgets the events so far, so that watches from earlier versions get 410.</summary>
    public void Compact()
    {
        lock (gate)
        {
            log.Clear();
            oldest = version;
        }
    }

    /// <summary>Returns the events after a version; null: they are forgotten.</summary>
    public Channel<StubEvent>? Watch(long after)
    {
        lock (gate)
        {
            if (after < oldest) return null;
            var channel = Channel.CreateUnbounded<StubEvent>();
            foreach (var past in log.Where(e => e.Version > after)) channel.Writer.TryWrite(past);
            watches.Add(channel);
            return channel;
        }
    }

    /// <summary>Ends all watches, as a restarted server does.</summary>
    public void EndWatches()
    {
        lock (gate)
        {
            foreach (var watch in watches) watch.Writer.TryComplete();
            watches.Clear();
        }
    }

    private StubEvent Store(string kind, string name, JsonObject body, string type)
    {
        all[(kind, name)] = body;
        return Log(type, kind, name, body);
    }

    private StubEvent Log(string type, string kind, string name, JsonObject body)
    {
        body["metadata"]!["resourceVersion"] = (++version).ToString(CultureInfo.InvariantCulture);
        var change = new StubEvent(version, type, kind, name, body.DeepClone().AsObject());
        log.Add(change);
        foreach (var watch in watches) watch.Writer.TryWrite(change);
        return change;
    }
}

/// <summary>A change of an object.</summary>
internal sealed record StubEvent(long Version, string Type, string Kind, string Name, JsonObject Object);
