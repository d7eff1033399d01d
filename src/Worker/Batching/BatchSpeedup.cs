namespace Sluice.Worker.Batching;

/// <summary>
/// Measures the speedup of running rows together. Pure. If layers are bound by reading their weights (MLPs,
/// embeddings), a batch of 8 takes twice as long as one row. If not (convolutions), it takes eight times as long, and
/// a batch on one core only keeps the other cores idle.
/// </summary>
/// <param name="One">Duration of the shortest run of one row.</param>
/// <param name="Many">Duration of the shortest run of <paramref name="Rows"/> rows.</param>
/// <param name="Rows">Rows of the larger run.</param>
public readonly record struct BatchSpeedup(TimeSpan One, TimeSpan Many, int Rows)
{
    /// <summary>
    /// Minimum speedup for which a batch waits. It is between the values measured for convolutions and encoders (1.0
    /// to 1.1) and for an MLP (3.9; facts on ONNX Runtime, section 3).
    /// </summary>
    private const double Least = 1.5;

    /// <summary>Throughput of a batch divided by the throughput of single rows.</summary>
    public double Factor => Many > TimeSpan.Zero ? Rows * One / Many : 1;

    /// <summary>Whether a batch waits until requests that are already received are read.</summary>
    public bool Pays => Factor >= Least;
}
