namespace Sluice.Worker.Batching;

/// <summary>What became of a response.</summary>
public enum ResponseEnd
{
    Success,
    Fail,

    /// <summary>Its client was gone.</summary>
    Cancel,
}

/// <summary>Responses with the same place in their streams: how long they took to be made and to be sent, and what became of them.</summary>
public readonly record struct ResponseTimes(Times Infer, Times Output, Times Success, Times Fail, Times Cancel)
{
    public ResponseTimes Plus(ResponseEnd end, TimeSpan infer, TimeSpan output) => new(
        end == ResponseEnd.Success ? Infer.Plus(infer) : Infer,
        end == ResponseEnd.Success ? Output.Plus(output) : Output,
        end == ResponseEnd.Success ? Success.Plus(infer + output) : Success,
        end == ResponseEnd.Fail ? Fail.Plus(infer + output) : Fail,
        end == ResponseEnd.Cancel ? Cancel.Plus(infer + output) : Cancel);
}
