namespace Sluice.Domain.Schema;

/// <summary>
/// The versions of the keys and formats in Redis that this build knows, and what needs them. A new format gets a new
/// version here, and is written only where <c>ActiveSchema.Allows</c> returns true.
/// </summary>
public static class SchemaVersions
{
    /// <summary>The oldest version of which this build reads and writes all data.</summary>
    public const int Oldest = 2;

    /// <summary>The newest version that this build writes.</summary>
    public const int Newest = 3;

    /// <summary>The version of builds that announce none.</summary>
    public const int Unannounced = 2;

    /// <summary>
    /// Jobs for a path of the worker: lines of batches and background responses. Builds of version 2 may send them to
    /// the handler of the template instead.
    /// </summary>
    public const int JobPaths = 3;

    /// <summary>
    /// Tokens in tickets and in submissions of jobs. Builds of version 2 may not count them, and cannot retry such a
    /// job.
    /// </summary>
    public const int Tokens = 3;

    /// <summary>The trace in the submission of a job. Builds of version 2 may read it as a part of the job.</summary>
    public const int JobTraces = 3;
}
