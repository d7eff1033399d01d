using System.Collections.Concurrent;
using Sluice.Worker.Api;

namespace Sluice.Worker.Models;

/// <summary>Numbers for shapes: equal for requests whose tensors can be stacked, for a model whose shapes vary.</summary>
internal sealed class ShapeKeys(bool allEqual)
{
    /// <summary>Shapes remembered; then it begins anew, with other numbers (requests of before and after do not meet in a batch).</summary>
    private const int Most = 4096;

    private readonly ConcurrentDictionary<string, int> keys = [];
    private int next;

    public int Of(InferRequest request)
    {
        if (allEqual) return 0;
        var text = string.Join(';', request.Inputs.Select(i => string.Join(',', i!.Shape.Skip(1))));
        if (keys.TryGetValue(text, out var key)) return key;
        if (keys.Count > Most) keys.Clear();
        return keys.GetOrAdd(text, _ => Interlocked.Increment(ref next));
    }
}
