namespace Sluice.Worker.Batching;

/// <summary>Statistics of all responses with the same index in their streams.</summary>
/// <param name="Infer">Times to generate successful responses.</param>
/// <param name="Output">Times to send successful responses.</param>
/// <param name="Success">Total times of successful responses.</param>
/// <param name="Fail">Total times of failed responses.</param>
/// <param name="Cancel">Total times of responses whose client was disconnected.</param>
public readonly record struct ResponseTimes(Times Infer, Times Output, Times Success, Times Fail, Times Cancel)
{
    /// <summary>Adds a response.</summary>
    public ResponseTimes Plus(ResponseEnd end, TimeSpan infer, TimeSpan output) => new(
        end == ResponseEnd.Success ? Infer.Plus(infer) : Infer,
        end == ResponseEnd.Success ? Output.Plus(output) : Output,
        end == ResponseEnd.Success ? Success.Plus(infer + output) : Success,
        end == ResponseEnd.Fail ? Fail.Plus(infer + output) : Fail,
        end == ResponseEnd.Cancel ? Cancel.Plus(infer + output) : Cancel);
}
