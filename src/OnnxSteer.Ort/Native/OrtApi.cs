using System.Runtime.InteropServices;

namespace OnnxSteer.Ort.Native;

/// <summary>The entry point of the library: <c>OrtGetApiBase()</c> returns it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OrtApiBase
{
    public delegate* unmanaged<uint, OrtApi*> GetApi;
    public delegate* unmanaged<byte*> GetVersionString;
}

/// <summary>
/// ONNX Runtime's function table. It is append-only: an offset never changes its meaning, so one table serves every library
/// from <see cref="Version"/> on, of any execution provider. Each function that is used stands here once, at its slot.
/// </summary>
/// <remarks>
/// Functions return an <c>OrtStatus*</c>, null for success, unless noted otherwise. Native objects are <c>void*</c>: what keeps
/// them apart are the safe classes above, each of which holds one kind.
/// </remarks>
[StructLayout(LayoutKind.Explicit)]
internal unsafe struct OrtApi
{
    /// <summary>The API version asked for: ONNX Runtime 1.22, the first with all of these slots.</summary>
    public const uint Version = 22;

    private const int Slot = 8; // every supported platform has 64-bit pointers

    // Status
    [FieldOffset(1 * Slot)] public delegate* unmanaged<void*, OrtErrorCode> GetErrorCode; // returns the code
    [FieldOffset(2 * Slot)] public delegate* unmanaged<void*, byte*> GetErrorMessage; // returns a text that the status owns
    [FieldOffset(93 * Slot)] public delegate* unmanaged<void*, void> ReleaseStatus;

    // Environment
    [FieldOffset(3 * Slot)] public delegate* unmanaged<LogSeverity, byte*, void**, void*> CreateEnv;
    [FieldOffset(6 * Slot)] public delegate* unmanaged<void*, void*> DisableTelemetryEvents;
    [FieldOffset(226 * Slot)] public delegate* unmanaged<void*, LogSeverity, void*> UpdateEnvWithCustomLogLevel;
    [FieldOffset(125 * Slot)] public delegate* unmanaged<byte***, int*, void*> GetAvailableProviders;
    [FieldOffset(126 * Slot)] public delegate* unmanaged<byte**, int, void*> ReleaseAvailableProviders;

    // Session options
    [FieldOffset(10 * Slot)] public delegate* unmanaged<void**, void*> CreateSessionOptions;
    [FieldOffset(11 * Slot)] public delegate* unmanaged<void*, void*, void*> SetOptimizedModelFilePath;
    [FieldOffset(13 * Slot)] public delegate* unmanaged<void*, ExecutionMode, void*> SetSessionExecutionMode;
    [FieldOffset(17 * Slot)] public delegate* unmanaged<void*, void*> DisableMemPattern;
    [FieldOffset(19 * Slot)] public delegate* unmanaged<void*, void*> DisableCpuMemArena;
    [FieldOffset(20 * Slot)] public delegate* unmanaged<void*, byte*, void*> SetSessionLogId;
    [FieldOffset(22 * Slot)] public delegate* unmanaged<void*, LogSeverity, void*> SetSessionLogSeverityLevel;
    [FieldOffset(23 * Slot)] public delegate* unmanaged<void*, OptimizationLevel, void*> SetSessionGraphOptimizationLevel;
    [FieldOffset(24 * Slot)] public delegate* unmanaged<void*, int, void*> SetIntraOpNumThreads;
    [FieldOffset(25 * Slot)] public delegate* unmanaged<void*, int, void*> SetInterOpNumThreads;
    [FieldOffset(100 * Slot)] public delegate* unmanaged<void*, void> ReleaseSessionOptions;
    [FieldOffset(130 * Slot)] public delegate* unmanaged<void*, byte*, byte*, void*> AddSessionConfigEntry;
    [FieldOffset(204 * Slot)] public delegate* unmanaged<void*, void*, void*> SessionOptionsAppendExecutionProvider_CUDA_V2;
    [FieldOffset(205 * Slot)] public delegate* unmanaged<void**, void*> CreateCUDAProviderOptions;
    [FieldOffset(206 * Slot)] public delegate* unmanaged<void*, byte**, byte**, nuint, void*> UpdateCUDAProviderOptions;
    [FieldOffset(208 * Slot)] public delegate* unmanaged<void*, void> ReleaseCUDAProviderOptions;
    [FieldOffset(216 * Slot)] public delegate* unmanaged<void*, byte*, byte**, byte**, nuint, void*> SessionOptionsAppendExecutionProvider;
    [FieldOffset(279 * Slot)] public delegate* unmanaged<void*, byte**, byte**, nuint*, nuint, void*> AddExternalInitializersFromFilesInMemory;

    // Session
    [FieldOffset(7 * Slot)] public delegate* unmanaged<void*, void*, void*, void**, void*> CreateSession;
    [FieldOffset(8 * Slot)] public delegate* unmanaged<void*, void*, nuint, void*, void**, void*> CreateSessionFromArray;
    [FieldOffset(9 * Slot)] public delegate* unmanaged<void*, void*, byte**, void**, nuint, byte**, nuint, void**, void*> Run;
    [FieldOffset(30 * Slot)] public delegate* unmanaged<void*, nuint*, void*> SessionGetInputCount;
    [FieldOffset(31 * Slot)] public delegate* unmanaged<void*, nuint*, void*> SessionGetOutputCount;
    [FieldOffset(32 * Slot)] public delegate* unmanaged<void*, nuint*, void*> SessionGetOverridableInitializerCount;
    [FieldOffset(33 * Slot)] public delegate* unmanaged<void*, nuint, void**, void*> SessionGetInputTypeInfo;
    [FieldOffset(34 * Slot)] public delegate* unmanaged<void*, nuint, void**, void*> SessionGetOutputTypeInfo;
    [FieldOffset(35 * Slot)] public delegate* unmanaged<void*, nuint, void**, void*> SessionGetOverridableInitializerTypeInfo;
    [FieldOffset(36 * Slot)] public delegate* unmanaged<void*, nuint, void*, byte**, void*> SessionGetInputName;
    [FieldOffset(37 * Slot)] public delegate* unmanaged<void*, nuint, void*, byte**, void*> SessionGetOutputName;
    [FieldOffset(38 * Slot)] public delegate* unmanaged<void*, nuint, void*, byte**, void*> SessionGetOverridableInitializerName;
    [FieldOffset(95 * Slot)] public delegate* unmanaged<void*, void> ReleaseSession;

    // Metadata
    [FieldOffset(111 * Slot)] public delegate* unmanaged<void*, void**, void*> SessionGetModelMetadata;
    [FieldOffset(112 * Slot)] public delegate* unmanaged<void*, void*, byte**, void*> ModelMetadataGetProducerName;
    [FieldOffset(113 * Slot)] public delegate* unmanaged<void*, void*, byte**, void*> ModelMetadataGetGraphName;
    [FieldOffset(114 * Slot)] public delegate* unmanaged<void*, void*, byte**, void*> ModelMetadataGetDomain;
    [FieldOffset(115 * Slot)] public delegate* unmanaged<void*, void*, byte**, void*> ModelMetadataGetDescription;
    [FieldOffset(116 * Slot)] public delegate* unmanaged<void*, void*, byte*, byte**, void*> ModelMetadataLookupCustomMetadataMap;
    [FieldOffset(117 * Slot)] public delegate* unmanaged<void*, long*, void*> ModelMetadataGetVersion;
    [FieldOffset(118 * Slot)] public delegate* unmanaged<void*, void> ReleaseModelMetadata;
    [FieldOffset(123 * Slot)] public delegate* unmanaged<void*, void*, byte***, long*, void*> ModelMetadataGetCustomMetadataMapKeys;
    [FieldOffset(158 * Slot)] public delegate* unmanaged<void*, void*, byte**, void*> ModelMetadataGetGraphDescription;

    // Types
    [FieldOffset(55 * Slot)] public delegate* unmanaged<void*, void**, void*> CastTypeInfoToTensorInfo;
    [FieldOffset(56 * Slot)] public delegate* unmanaged<void*, ValueKind*, void*> GetOnnxTypeFromTypeInfo;
    [FieldOffset(60 * Slot)] public delegate* unmanaged<void*, ElementType*, void*> GetTensorElementType;
    [FieldOffset(61 * Slot)] public delegate* unmanaged<void*, nuint*, void*> GetDimensionsCount;
    [FieldOffset(62 * Slot)] public delegate* unmanaged<void*, long*, nuint, void*> GetDimensions;
    [FieldOffset(63 * Slot)] public delegate* unmanaged<void*, byte**, nuint, void*> GetSymbolicDimensions;
    [FieldOffset(98 * Slot)] public delegate* unmanaged<void*, void> ReleaseTypeInfo;
    [FieldOffset(99 * Slot)] public delegate* unmanaged<void*, void> ReleaseTensorTypeAndShapeInfo;
    [FieldOffset(103 * Slot)] public delegate* unmanaged<void*, void**, void*> CastTypeInfoToMapTypeInfo;
    [FieldOffset(104 * Slot)] public delegate* unmanaged<void*, void**, void*> CastTypeInfoToSequenceTypeInfo;
    [FieldOffset(105 * Slot)] public delegate* unmanaged<void*, ElementType*, void*> GetMapKeyType;
    [FieldOffset(106 * Slot)] public delegate* unmanaged<void*, void**, void*> GetMapValueType;
    [FieldOffset(107 * Slot)] public delegate* unmanaged<void*, void**, void*> GetSequenceElementType;
    [FieldOffset(250 * Slot)] public delegate* unmanaged<void*, void**, void*> CastTypeInfoToOptionalTypeInfo;
    [FieldOffset(251 * Slot)] public delegate* unmanaged<void*, void**, void*> GetOptionalContainedTypeInfo;

    // Values
    [FieldOffset(48 * Slot)] public delegate* unmanaged<void*, long*, nuint, ElementType, void**, void*> CreateTensorAsOrtValue;
    [FieldOffset(49 * Slot)] public delegate* unmanaged<void*, void*, nuint, long*, nuint, ElementType, void**, void*> CreateTensorWithDataAsOrtValue;
    [FieldOffset(51 * Slot)] public delegate* unmanaged<void*, void**, void*> GetTensorMutableData;
    [FieldOffset(53 * Slot)] public delegate* unmanaged<void*, nuint*, void*> GetStringTensorDataLength;
    [FieldOffset(54 * Slot)] public delegate* unmanaged<void*, void*, nuint, nuint*, nuint, void*> GetStringTensorContent;
    [FieldOffset(65 * Slot)] public delegate* unmanaged<void*, void**, void*> GetTensorTypeAndShape;
    [FieldOffset(67 * Slot)] public delegate* unmanaged<void*, ValueKind*, void*> GetValueType;
    [FieldOffset(80 * Slot)] public delegate* unmanaged<void*, int, void*, void**, void*> GetValue;
    [FieldOffset(81 * Slot)] public delegate* unmanaged<void*, nuint*, void*> GetValueCount;
    [FieldOffset(96 * Slot)] public delegate* unmanaged<void*, void> ReleaseValue;
    [FieldOffset(192 * Slot)] public delegate* unmanaged<void*, int*, void*> HasValue;
    [FieldOffset(194 * Slot)] public delegate* unmanaged<void*, void**, void*> GetTensorMemoryInfo;
    [FieldOffset(252 * Slot)] public delegate* unmanaged<void*, nuint, nuint, byte**, void*> GetResizedStringTensorElementBuffer;

    // Memory
    [FieldOffset(68 * Slot)] public delegate* unmanaged<byte*, int, int, int, void**, void*> CreateMemoryInfo;
    [FieldOffset(69 * Slot)] public delegate* unmanaged<int, int, void**, void*> CreateCpuMemoryInfo;
    [FieldOffset(76 * Slot)] public delegate* unmanaged<void*, void*, void*> AllocatorFree;
    [FieldOffset(78 * Slot)] public delegate* unmanaged<void**, void*> GetAllocatorWithDefaultOptions;
    [FieldOffset(94 * Slot)] public delegate* unmanaged<void*, void> ReleaseMemoryInfo;
    [FieldOffset(225 * Slot)] public delegate* unmanaged<void*, int*, void> MemoryInfoGetDeviceType; // cannot fail

    // Run options and adapters
    [FieldOffset(39 * Slot)] public delegate* unmanaged<void**, void*> CreateRunOptions;
    [FieldOffset(41 * Slot)] public delegate* unmanaged<void*, LogSeverity, void*> RunOptionsSetRunLogSeverityLevel;
    [FieldOffset(42 * Slot)] public delegate* unmanaged<void*, byte*, void*> RunOptionsSetRunTag;
    [FieldOffset(46 * Slot)] public delegate* unmanaged<void*, void*> RunOptionsSetTerminate;
    [FieldOffset(97 * Slot)] public delegate* unmanaged<void*, void> ReleaseRunOptions;
    [FieldOffset(165 * Slot)] public delegate* unmanaged<void*, byte*, byte*, void*> AddRunConfigEntry;
    [FieldOffset(280 * Slot)] public delegate* unmanaged<void*, void*, void**, void*> CreateLoraAdapter;
    [FieldOffset(281 * Slot)] public delegate* unmanaged<void*, nuint, void*, void**, void*> CreateLoraAdapterFromArray;
    [FieldOffset(282 * Slot)] public delegate* unmanaged<void*, void> ReleaseLoraAdapter;
    [FieldOffset(283 * Slot)] public delegate* unmanaged<void*, void*, void*> RunOptionsAddActiveLoraAdapter;

    // Binding
    [FieldOffset(133 * Slot)] public delegate* unmanaged<void*, void*, void*, void*> RunWithBinding;
    [FieldOffset(134 * Slot)] public delegate* unmanaged<void*, void**, void*> CreateIoBinding;
    [FieldOffset(135 * Slot)] public delegate* unmanaged<void*, void> ReleaseIoBinding;
    [FieldOffset(136 * Slot)] public delegate* unmanaged<void*, byte*, void*, void*> BindInput;
    [FieldOffset(137 * Slot)] public delegate* unmanaged<void*, byte*, void*, void*> BindOutput;
    [FieldOffset(138 * Slot)] public delegate* unmanaged<void*, byte*, void*, void*> BindOutputToDevice;
    [FieldOffset(140 * Slot)] public delegate* unmanaged<void*, void*, void***, nuint*, void*> GetBoundOutputValues;
    [FieldOffset(141 * Slot)] public delegate* unmanaged<void*, void> ClearBoundInputs; // cannot fail
    [FieldOffset(142 * Slot)] public delegate* unmanaged<void*, void> ClearBoundOutputs; // cannot fail
    [FieldOffset(202 * Slot)] public delegate* unmanaged<void*, void*> SynchronizeBoundInputs;
    [FieldOffset(203 * Slot)] public delegate* unmanaged<void*, void*> SynchronizeBoundOutputs;
}
