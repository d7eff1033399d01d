namespace Sluice.Worker.Batching;

/// <summary>Stages of a request, in their order.</summary>
public enum InferStage
{
    /// <summary>Waiting for a run.</summary>
    Queue,

    /// <summary>Reading the tensors into the memory of the batch.</summary>
    Input,

    /// <summary>The run of the batch.</summary>
    Infer,

    /// <summary>Writing the response.</summary>
    Output,
}
